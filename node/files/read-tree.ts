/** Files and folders of somebody's as a tree: looked through within bounds before a byte is read, links never followed. */

import { hash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../protocol/canonical.ts'
import { checkPaths, encodeTree, inOrder, type TreeFile } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { onFile } from './file-error.ts'

/** A file or a folder on this disk, and where it is to lie in the tree; '' puts what is in a folder at the root. */
export type Named = { path: string; file: string }

/** A file that was looked at and not read. */
export type FoundFile = { path: string; file: string; facts: Stats }

type Looked = { files: Map<string, FoundFile>; folders: number; bytes: number }

/** A file that turns into a link or a pipe meanwhile is neither followed nor waited for. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** @throws E_TREE for links, devices, names and sizes that no tree may have; E_FILE for a file that changed while it was read */
export async function readFolder(
  folder: string,
  signal: AbortSignal,
): Promise<{ digest: Digest; description: Uint8Array }> {
  return await describeFiles(await findFiles([{ path: '', file: folder }], signal), signal)
}

/**
 * Every file of what is named. Stops at the first bound: of a folder without end, no more is read than a tree could hold.
 * @throws E_TREE, E_FILE
 */
export async function findFiles(named: Iterable<Named>, signal: AbortSignal): Promise<FoundFile[]> {
  const looked: Looked = { files: new Map(), folders: 0, bytes: 0 }
  for (const one of named) await look(one, looked, signal)
  const found = [...looked.files.values()]
  checkPaths(found.map(({ path }) => path))
  return found
}

/** Reads and digests them. `onRead` is told of the bytes of each piece. @throws E_TREE, E_FILE */
export async function describeFiles(
  found: readonly FoundFile[],
  signal: AbortSignal,
  onRead: (bytes: number) => void = () => undefined,
): Promise<{ digest: Digest; description: Uint8Array }> {
  const piece = new Uint8Array(LIMITS.TREE_CHUNK_BYTES)
  const files: TreeFile[] = []
  for (const one of found) files.push(await digestFile(one, { piece, signal, onRead }))
  return encodeTree({ v: 1, files: inOrder(files) })
}

/** Some bytes of a file that was found. @throws E_FILE when it is another file by now, or shorter */
export async function readPiece(found: FoundFile, offset: number, piece: Uint8Array): Promise<void> {
  await onFound(found, (file) => fill(file, found, { offset, piece }))
}

async function look({ path, file }: Named, looked: Looked, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const facts = await onFile(file, () => lstat(file))
  if (!facts.isDirectory()) {
    if (!facts.isFile()) throw refused(`${JSON.stringify(path || file)} is neither a file nor a folder`)
    const known = looked.files.get(path)
    if (known?.file === file) return
    if (known !== undefined) throw refused(`${JSON.stringify(path)} is there twice`)
    looked.files.set(path, { path, file, facts })
    looked.bytes += facts.size
    if (looked.files.size > LIMITS.TREE_FILES_MAX) throw refused(`over ${LIMITS.TREE_FILES_MAX} files`)
    if (looked.bytes > LIMITS.TREE_MAX_BYTES) throw refused(`over ${LIMITS.TREE_MAX_BYTES} bytes of files`)
    return
  }
  looked.folders += 1
  if (looked.folders > LIMITS.TREE_FOLDERS_MAX) throw refused(`over ${LIMITS.TREE_FOLDERS_MAX} folders`)
  // Before going deeper: a path is bounded, so the depth is.
  if (path !== '') checkPaths([path])
  for await (const { name } of await onFile(file, () => opendir(file))) {
    await look({ path: path === '' ? name : `${path}/${name}`, file: join(file, name) }, looked, signal)
  }
}

type Reading = { piece: Uint8Array; signal: AbortSignal; onRead(bytes: number): void }

async function digestFile(found: FoundFile, { piece, signal, onRead }: Reading): Promise<TreeFile> {
  const { path, facts } = found
  const digests: Buffer[] = []
  await onFound(found, async (file) => {
    for (let offset = 0; offset < facts.size; offset += piece.length) {
      signal.throwIfAborted()
      const wanted = piece.subarray(0, Math.min(piece.length, facts.size - offset))
      await fill(file, found, { offset, piece: wanted })
      digests.push(hash('sha256', wanted, 'buffer'))
      onRead(wanted.length)
    }
  })
  return { path, bytes: facts.size, executable: (facts.mode & 0o100) !== 0, chunks: Buffer.concat(digests) }
}

async function onFound<T>(found: FoundFile, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await onFile(found.file, () => open(found.file, READ))
  try {
    const { ino, dev, size } = await file.stat()
    if (ino !== found.facts.ino || dev !== found.facts.dev || size !== found.facts.size) throw changed(found)
    return await work(file)
  } finally {
    await file.close()
  }
}

async function fill(
  file: FileHandle,
  found: FoundFile,
  { offset, piece }: { offset: number; piece: Uint8Array },
): Promise<void> {
  let read = 0
  while (read < piece.length) {
    const { bytesRead } = await onFile(found.file, () => file.read(piece, read, piece.length - read, offset + read))
    if (bytesRead === 0) throw changed(found)
    read += bytesRead
  }
}

const refused = (why: string): TalkootError => new TalkootError('E_TREE', why)
const changed = ({ path }: FoundFile): TalkootError =>
  new TalkootError('E_FILE', `${JSON.stringify(path)} changed while it was read`)
