/** A folder of somebody's as a tree: looked through within bounds before a byte is read, links never followed. */

import { hash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, open, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../protocol/canonical.ts'
import { checkPaths, encodeTree, inOrder, type TreeFile } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

type Found = { path: string; facts: Stats }
type Looked = { files: Found[]; folders: number; bytes: number }

/** A file that turns into a link or a pipe meanwhile is neither followed nor waited for. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** @throws E_TREE for links, devices, names and sizes that no tree may have; E_FILE for a file that changed while it was read */
export async function readFolder(
  folder: string,
  signal: AbortSignal,
): Promise<{ digest: Digest; description: Uint8Array }> {
  const looked: Looked = { files: [], folders: 0, bytes: 0 }
  await look(folder, '', looked, signal)
  checkPaths(looked.files.map(({ path }) => path))
  const piece = new Uint8Array(LIMITS.TREE_CHUNK_BYTES)
  const files: TreeFile[] = []
  for (const found of looked.files) files.push(await digestFile(folder, found, piece, signal))
  return encodeTree({ v: 1, files: inOrder(files) })
}

/** Stops at the first bound: of a folder without end, no more is read than a tree could hold. */
async function look(root: string, path: string, looked: Looked, signal: AbortSignal): Promise<void> {
  for await (const { name } of await opendir(join(root, path))) {
    signal.throwIfAborted()
    const inside = path === '' ? name : `${path}/${name}`
    const facts = await lstat(join(root, inside))
    if (facts.isDirectory()) {
      looked.folders += 1
      if (looked.folders > LIMITS.TREE_FOLDERS_MAX) throw refused(`over ${LIMITS.TREE_FOLDERS_MAX} folders`)
      // Before going deeper: a path is bounded, so the depth is.
      checkPaths([inside])
      await look(root, inside, looked, signal)
      continue
    }
    if (!facts.isFile()) throw refused(`${JSON.stringify(inside)} is neither a file nor a folder`)
    looked.files.push({ path: inside, facts })
    looked.bytes += facts.size
    if (looked.files.length > LIMITS.TREE_FILES_MAX) throw refused(`over ${LIMITS.TREE_FILES_MAX} files`)
    if (looked.bytes > LIMITS.TREE_MAX_BYTES) throw refused(`over ${LIMITS.TREE_MAX_BYTES} bytes of files`)
  }
}

async function digestFile(root: string, found: Found, piece: Uint8Array, signal: AbortSignal): Promise<TreeFile> {
  const { path, facts } = found
  const digests: Buffer[] = []
  const file = await open(join(root, path), READ)
  try {
    const { ino, dev, size } = await file.stat()
    if (ino !== facts.ino || dev !== facts.dev || size !== facts.size) throw changed(path)
    for (let offset = 0; offset < size; offset += piece.length) {
      signal.throwIfAborted()
      const wanted = Math.min(piece.length, size - offset)
      let read = 0
      while (read < wanted) {
        const { bytesRead } = await file.read(piece, read, wanted - read, offset + read)
        if (bytesRead === 0) throw changed(path)
        read += bytesRead
      }
      digests.push(hash('sha256', piece.subarray(0, wanted), 'buffer'))
    }
  } finally {
    await file.close()
  }
  return { path, bytes: facts.size, executable: (facts.mode & 0o100) !== 0, chunks: Buffer.concat(digests) }
}

const refused = (why: string): TalkootError => new TalkootError('E_TREE', why)
const changed = (path: string): TalkootError =>
  new TalkootError('E_FILE', `${JSON.stringify(path)} changed while it was read`)
