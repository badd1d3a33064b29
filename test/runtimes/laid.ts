/** Files for a task, laid out as a node's store would. */

import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readFolder } from '../../node/files/read-tree.ts'
import type { LaidTree } from '../../node/runtimes/runtime.ts'
import { TreeLayout } from '../../protocol/data/layout.ts'
import { decodeTree, type TreeRef, treeBytes } from '../../protocol/data/tree.ts'

/** By their paths: text, and whether it is a program. In a folder of `parent` that none but its user can enter. */
export async function layDown(
  parent: string,
  files: Record<string, string | { program: string }>,
): Promise<{ ref: TreeRef; trees: Map<string, LaidTree> }> {
  const folder = mkdtempSync(join(parent, 'laid-'))
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : content.program, { mode: 0o600 })
    if (typeof content !== 'string') chmodSync(file, 0o700)
  }
  return await laidFrom(folder)
}

/** A folder as it is. */
export async function laidFrom(folder: string): Promise<{ ref: TreeRef; trees: Map<string, LaidTree> }> {
  const { digest, description } = await readFolder(folder, new AbortController().signal)
  const tree = decodeTree(description)
  return {
    ref: { digest, bytes: treeBytes(tree) },
    trees: new Map([[digest, { folder, layout: new TreeLayout(tree) }]]),
  }
}
