/** Files for a task, laid out as a node's store would. */

import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readFolder } from '../../node/files/read-tree.ts'
import type { LaidTree } from '../../node/runtimes/runtime.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { TreeLayout } from '../../protocol/data/layout.ts'
import {
  CHUNK_DIGEST_BYTES,
  chunksOf,
  decodeTree,
  inOrder,
  type Tree,
  type TreeLink,
  type TreeRef,
  treeBytes,
} from '../../protocol/data/tree.ts'

type Laid = { ref: TreeRef; trees: Map<string, LaidTree> }

/** By their paths: text, and whether it is a program. In a folder of `parent` that none but its user can enter. */
export async function layDown(
  parent: string,
  files: Record<string, Uint8Array | string | { program: Uint8Array | string }>,
): Promise<Laid> {
  const folder = mkdtempSync(join(parent, 'laid-'))
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    const isProgram = typeof content === 'object' && 'program' in content
    writeFileSync(file, isProgram ? content.program : content, { mode: 0o600 })
    if (isProgram) chmodSync(file, 0o700)
  }
  return await laidFrom(folder)
}

/** A folder as it is. */
export async function laidFrom(folder: string): Promise<Laid> {
  const { digest, description } = await readFolder(folder, new AbortController().signal)
  const tree = decodeTree(description)
  return {
    ref: { digest, bytes: treeBytes(tree) },
    trees: new Map([[digest, { folder, layout: new TreeLayout(tree) }]]),
  }
}

/** Files of so many zeros, each with the same end, that nobody has read: a tree as large as one likes. */
export function laidSparse(parent: string, sizes: Record<string, number>, end = '', links: TreeLink[] = []): Laid {
  const folder = mkdtempSync(join(parent, 'laid-'))
  for (const [path, bytes] of Object.entries(sizes)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), '', { mode: 0o600 })
    truncateSync(join(folder, path), bytes - end.length)
    appendFileSync(join(folder, path), end)
  }
  const files = inOrder(
    Object.entries(sizes).map(([path, bytes]) => ({ path, bytes, executable: false, chunks: chunksFor(bytes) })),
  )
  const tree: Tree = { v: 1, files, ...(links.length === 0 ? {} : { links }) }
  const digest = digestOf(folder)
  return {
    ref: { digest, bytes: treeBytes(tree) },
    trees: new Map([[digest, { folder, layout: new TreeLayout(tree) }]]),
  }
}

const chunksFor = (bytes: number): Uint8Array => new Uint8Array(chunksOf(bytes) * CHUNK_DIGEST_BYTES)
