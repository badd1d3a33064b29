/**
 * Files and folders of somebody's as a tree: looked through within bounds before a byte is read. A link stays one where it leads
 * to something of the tree or into /usr; it is followed only into another folder that was named, and refused otherwise.
 */

import { hash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, opendir, readlink, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import type { Digest } from '../../protocol/canonical.ts'
import { checkPaths, encodeTree, inOrder, type TreeFile, type TreeLink } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { onFile } from './file-error.ts'

/** A file or a folder on this disk, and where it is to lie in the tree; '' puts what is in a folder at the root. */
export type Named = { path: string; file: string }

/** A file that was looked at and not read. */
export type FoundFile = { path: string; file: string; facts: Stats }

export type Found = { files: FoundFile[]; links: TreeLink[] }

type Looked = {
  files: Map<string, FoundFile>
  links: TreeLink[]
  folders: number
  bytes: number
  /** Where a link may lead to be followed, resolved. */
  also: readonly string[]
  signal: AbortSignal
}

/** A file that turns into a link or a pipe meanwhile is neither followed nor waited for. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** @throws E_TREE for links that lead out, devices, names and sizes that no tree may have; E_FILE for a file that changed while it was read */
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
export async function findFiles(
  named: Iterable<Named>,
  signal: AbortSignal,
  also: readonly string[] = [],
): Promise<Found> {
  const looked: Looked = { files: new Map(), links: [], folders: 0, bytes: 0, also, signal }
  for (const one of named) await look(one, one, looked)
  const { links } = looked
  const files = [...looked.files.values()]
  checkPaths([...files, ...links].map(({ path }) => path))
  return { files, links }
}

/** Reads and digests them. `onRead` is told of the bytes of each piece. @throws E_TREE, E_FILE */
export async function describeFiles(
  { files: found, links }: Found,
  signal: AbortSignal,
  onRead: (bytes: number) => void = () => undefined,
): Promise<{ digest: Digest; description: Uint8Array }> {
  const piece = new Uint8Array(LIMITS.TREE_CHUNK_BYTES)
  const files: TreeFile[] = []
  for (const one of found) files.push(await digestFile(one, { piece, signal, onRead }))
  return encodeTree({ v: 1, files: inOrder(files), ...(links.length === 0 ? {} : { links: inOrder(links) }) })
}

/** Some bytes of a file that was found. @throws E_FILE when it is another file by now, or shorter */
export async function readPiece(found: FoundFile, offset: number, piece: Uint8Array): Promise<void> {
  await onFound(found, (file) => fill(file, found, { offset, piece }))
}

async function look(named: Named, root: Named, looked: Looked): Promise<void> {
  const { path, file } = named
  looked.signal.throwIfAborted()
  const facts = await onFile(file, () => lstat(file))
  if (facts.isSymbolicLink()) await lookAtLink(named, root, looked)
  else if (facts.isFile()) take({ path, file, facts }, looked)
  else if (facts.isDirectory()) {
    looked.folders += 1
    if (looked.folders > LIMITS.TREE_FOLDERS_MAX) throw refused(`over ${LIMITS.TREE_FOLDERS_MAX} folders`)
    // Before going deeper: a path is bounded, so the depth is.
    if (path !== '') checkPaths([path])
    for await (const { name } of await onFile(file, () => opendir(file))) {
      await look({ path: path === '' ? name : `${path}/${name}`, file: join(file, name) }, root, looked)
    }
  } else throw refused(`${JSON.stringify(path || file)} is neither a file nor a folder`)
}

function take(found: FoundFile, looked: Looked): void {
  const known = looked.files.get(found.path)
  if (known?.file === found.file) return
  if (known !== undefined) throw refused(`${JSON.stringify(found.path)} is there twice`)
  looked.files.set(found.path, found)
  looked.bytes += found.facts.size
  countEntries(looked)
  if (looked.bytes > LIMITS.TREE_MAX_BYTES) throw refused(`over ${LIMITS.TREE_MAX_BYTES} bytes of files`)
}

/** What leads out is refused when the tree is whole. */
async function lookAtLink({ path, file }: Named, root: Named, looked: Looked): Promise<void> {
  const to = await onFile(file, () => readlink(file))
  const real = isAbsolute(to) ? await realpath(file).catch(() => null) : null
  if (real !== null && looked.also.some((folder) => isInside(real, folder))) {
    const facts = await onFile(real, () => lstat(real))
    if (facts.isFile()) return take({ path, file: real, facts }, looked)
  }
  const own = isAbsolute(to) && isInside(to, root.file)
  looked.links.push({ path, to: own ? relative(dirname(file), to) : to })
  countEntries(looked)
}

function countEntries({ files, links }: Looked): void {
  if (files.size + links.length > LIMITS.TREE_FILES_MAX) throw refused(`over ${LIMITS.TREE_FILES_MAX} files`)
}

const isInside = (path: string, folder: string): boolean => path.startsWith(`${folder}/`)

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
