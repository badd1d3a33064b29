/** The files Python sees: Emscripten's, in memory but for those it is given. They are bounded, and put back between units. */

import type { GivenFile } from '../../js/harness/given.ts'
import type { Folder, Found } from '../../js/harness/outputs/files.ts'

/** What Python wrote is of signed bytes. */
type Bytes = Uint8Array | Int8Array

export type FileNode = {
  id: number
  contents?: Bytes | Record<string, FileNode>
  usedBytes?: number
  mode: number
  name_next?: FileNode
  node_ops: object
  stream_ops: object
  /** What it stands for; absent: what was written here. */
  given?: GivenFile
}

export type Stream = { shared: object; node: FileNode }
type Write = (stream: Stream, from: Uint8Array, offset: number, length: number, at: number, own: boolean) => number
type InMemory = {
  ops_table: {
    file: { stream: { write: Write } }
    dir: { node: { unlink(folder: FileNode, name: string): void } }
  }
  /** What mapped files are written by. */
  stream_ops: {
    write: Write
    llseek: unknown
    mmap(
      stream: { node: Pick<FileNode, 'mode' | 'contents'> },
      length: number,
      at: number,
      ...how: [protection: number, flags: number]
    ): { ptr: number; allocated: boolean }
  }
  resizeFileStorage(node: FileNode, bytes: number): void
}

/** What is used of Emscripten's file system. */
export type FileSystem = {
  nameTable: (FileNode | undefined)[]
  streams: (Stream | null)[]
  nextInode: number
  currentPath: string
  filesystems: { MEMFS: InMemory }
  ErrnoError: new (errno: number) => Error
  makedev(major: number, minor: number): number
  registerDevice(device: number, does: object): void
  mkdev(path: string, device: number): void
  lookupPath(path: string): { node: FileNode & { rdev: number } }
  mkdirTree(path: string): void
  writeFile(path: string, content: Uint8Array): void
  closeStream(descriptor: number): void
}

/** "No space left on device", as Emscripten numbers it. */
const ENOSPC = 51

export class Files {
  readonly #files: FileSystem
  readonly #maxBytes: number
  #room: number
  readonly #written = new Set<FileNode>()

  /** @param maxBytes what files may hold beyond what they hold now */
  constructor(files: FileSystem, maxBytes: number) {
    this.#files = files
    this.#maxBytes = maxBytes
    this.#room = maxBytes
    this.#watch(files.filesystems.MEMFS)
  }

  /** Every file, folder and open descriptor as it is now. Returns what puts them back, with all room there was. */
  remember(): () => void {
    const files = this.#files
    const { nextInode, currentPath } = files
    const nameTable = [...files.nameTable]
    const nodes = nodesOf(files).map((node) => ({ node, was: { ...node }, contents: copyOf(node.contents) }))
    const streams = files.streams.map(
      (stream) => stream && { stream, was: { ...stream }, shared: { ...stream.shared } },
    )
    this.#written.clear()
    return () => {
      Object.assign(files, { nextInode, currentPath, nameTable: [...nameTable] })
      for (const { node, was, contents } of nodes) {
        // Files are seldom written to, and the largest has the standard library.
        const kept = isBytes(contents) && !this.#written.has(node) ? was.contents : copyOf(contents)
        putBack(node, kept === undefined ? was : { ...was, contents: kept })
      }
      files.streams = streams.map((kept) => {
        if (kept === null) return null
        putBack(kept.stream, { ...kept.was, shared: { ...kept.shared } })
        return kept.stream
      })
      this.#written.clear()
      this.#room = this.#maxBytes
    }
  }

  #watch(memory: InMemory): void {
    const { file, dir } = memory.ops_table
    const { write } = memory.stream_ops
    const watched: Write = (...of) => {
      const [{ node }, , , length, at] = of
      this.#take(Math.max(0, at + length - (node.usedBytes ?? 0)))
      this.#written.add(node)
      return write(...of)
    }
    file.stream.write = watched
    memory.stream_ops.write = watched
    const resize = memory.resizeFileStorage
    memory.resizeFileStorage = (node, bytes) => {
      this.#take(bytes - (node.usedBytes ?? 0))
      this.#written.add(node)
      resize(node, bytes)
    }
    const { unlink } = dir.node
    dir.node.unlink = (folder, name) => {
      const { contents } = folder
      const node = isBytes(contents) ? undefined : contents?.[name]
      if (node?.given === undefined) this.#take(-(node?.usedBytes ?? 0))
      unlink(folder, name)
    }
  }

  #take(bytes: number): void {
    if (bytes > this.#room) throw new this.#files.ErrnoError(ENOSPC)
    this.#room -= bytes
  }
}

/** What is in it, as a unit leaves it. */
export function folderOf(node: FileNode): Folder {
  const contents = isBytes(node.contents) ? {} : (node.contents ?? {})
  return {
    type: 'folder',
    names: () => Object.keys(contents),
    get: (name) => (Object.hasOwn(contents, name) ? foundOf(contents[name]) : undefined),
  }
}

/** Of `st_mode`, as POSIX numbers it. */
const KIND = 0o170000
const LINK = 0o120000
const PIPE = 0o010000
const REGULAR = 0o100000
const FOLDER = 0o040000
const OWNER_EXECUTES = 0o100

function foundOf(node: FileNode | undefined): Found | undefined {
  if (node === undefined) return undefined
  const { mode, contents, usedBytes = 0, given } = node
  const kind = mode & KIND
  if (kind === FOLDER) return folderOf(node)
  if (kind === LINK) return { type: 'link' }
  if (kind !== REGULAR) return { type: kind === PIPE ? 'pipe' : 'device' }
  const content = (): Iterable<Uint8Array> => given?.pieces() ?? [writtenIn(contents, usedBytes)]
  return { type: 'file', bytes: usedBytes, content, executable: (mode & OWNER_EXECUTES) !== 0 }
}

const writtenIn = (contents: FileNode['contents'], bytes: number): Uint8Array =>
  isBytes(contents) ? new Uint8Array(contents.buffer, contents.byteOffset, bytes) : new Uint8Array()

function nodesOf({ nameTable }: FileSystem): FileNode[] {
  const nodes: FileNode[] = []
  for (let next of nameTable) for (; next !== undefined; next = next.name_next) nodes.push(next)
  return nodes
}

function copyOf(contents: FileNode['contents']): FileNode['contents'] {
  return isBytes(contents) ? contents.slice() : contents && { ...contents }
}

const isBytes = (contents: FileNode['contents']): contents is Bytes => ArrayBuffer.isView(contents)

function putBack(object: object, was: object): void {
  for (const key of Object.keys(object)) if (!(key in was)) Reflect.deleteProperty(object, key)
  Object.assign(object, was)
}
