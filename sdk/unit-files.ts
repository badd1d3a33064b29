/** Files that units left, from the node to a folder: each tree appears whole or not at all, and nothing is written over. */

import { hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { onFile } from '../node/files/file-error.ts'
import { readFolder } from '../node/files/read-tree.ts'
import { digestOf } from '../protocol/canonical.ts'
import { TreeLayout } from '../protocol/data/layout.ts'
import { decodeTree, type Tree, type TreeRef } from '../protocol/data/tree.ts'
import { TREE_API } from '../protocol/data/upload.ts'
import { TalkootError } from '../protocol/errors.ts'
import type { Client } from './client.ts'

/** The folder is made; one that is there already must hold these files. @throws E_FILE, E_DISK_FULL, E_NOT_FOUND, E_BLOB */
export async function writeUnitFiles(
  client: Client,
  { digest }: TreeRef,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (existsSync(folder)) {
    const there = await readFolder(folder, signal)
    if (there.digest === digest) return
    throw new TalkootError('E_FILE', `${folder} is there and holds other files: move it away, or choose another folder`)
  }
  const part = `${folder}.${process.pid}.part`
  try {
    const description = await client.bytes(TREE_API.unitFiles(digest), { signal })
    if (digestOf(description) !== digest) throw new TalkootError('E_BLOB', `the description is not that of ${digest}`)
    const tree = decodeTree(description)
    await layOut(part, tree)
    await fillIn(part, tree, client.parts(TREE_API.unitFilesBytes(digest), { signal }))
    await onFile(folder, () => rename(part, folder))
  } finally {
    await rm(part, { recursive: true, force: true })
  }
}

async function layOut(folder: string, { files }: Tree): Promise<void> {
  await onFile(folder, () => mkdir(folder, { recursive: true }))
  for (const { path, bytes, executable } of files) {
    const file = join(folder, path)
    await onFile(file, () => mkdir(dirname(file), { recursive: true }))
    const handle = await onFile(file, () => open(file, 'wx'))
    try {
      await onFile(file, () => handle.truncate(bytes))
    } finally {
      await handle.close()
    }
    if (executable) await onFile(file, () => chmod(file, 0o755))
  }
}

/** All chunks, one after the other. @throws E_BLOB when they are not those described */
async function fillIn(folder: string, tree: Tree, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const layout = new TreeLayout(tree)
  const source = parts[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()
  for (let number = 0; number < layout.chunks; number++) {
    const chunk = layout.chunk(number)
    if (chunk === undefined) break
    const piece = Buffer.alloc(chunk.bytes)
    for (let filled = 0; filled < piece.length; ) {
      if (rest.length === 0) {
        const next = await source.next()
        if (next.done === true) throw new TalkootError('E_NOT_RUNNING', 'the node ended before the files did')
        rest = next.value
      }
      const taken = rest.subarray(0, piece.length - filled)
      piece.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
    }
    if (!hash('sha256', piece, 'buffer').equals(chunk.sha256))
      throw new TalkootError('E_BLOB', `chunk ${number} is damaged`)
    const file = join(folder, chunk.file.path)
    const handle = await onFile(file, () => open(file, 'r+'))
    try {
      await onFile(file, () => handle.write(piece, 0, piece.length, chunk.offset))
    } finally {
      await handle.close()
    }
  }
}
