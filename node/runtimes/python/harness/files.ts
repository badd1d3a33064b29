/** The files Python sees: Emscripten's, all in memory. They are put back between units. */

/** What Python wrote is of signed bytes. */
type Bytes = Uint8Array | Int8Array

export type FileNode = {
  id: number
  contents?: Bytes | Record<string, FileNode>
  usedBytes?: number
  name_next?: FileNode
}

type Stream = { shared: object; node: FileNode }
type Write = (stream: Stream, from: Uint8Array, offset: number, length: number, at: number, own: boolean) => number
type InMemory = {
  ops_table: {
    file: { stream: { write: Write } }
    dir: { node: { unlink(folder: FileNode, name: string): void } }
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
  mkdirTree(path: string): void
  writeFile(path: string, content: Uint8Array): void
}

/** "No space left on device", as Emscripten numbers it. */
const ENOSPC = 51

/** Bounds what files hold beyond what they hold now. Returns what gives all of it back. */
export function boundFiles({ filesystems: { MEMFS }, ErrnoError }: FileSystem, maxBytes: number): () => void {
  let room = maxBytes
  const take = (bytes: number): void => {
    if (bytes > room) throw new ErrnoError(ENOSPC)
    room -= bytes
  }
  const { file, dir } = MEMFS.ops_table
  const { write } = file.stream
  file.stream.write = (...of) => {
    const [{ node }, , , length, at] = of
    take(Math.max(0, at + length - (node.usedBytes ?? 0)))
    return write(...of)
  }
  const resize = MEMFS.resizeFileStorage
  MEMFS.resizeFileStorage = (node, bytes) => {
    take(bytes - (node.usedBytes ?? 0))
    resize(node, bytes)
  }
  const { unlink } = dir.node
  dir.node.unlink = (folder, name) => {
    const { contents } = folder
    take(-((isBytes(contents) ? undefined : contents?.[name])?.usedBytes ?? 0))
    unlink(folder, name)
  }
  return () => {
    room = maxBytes
  }
}

/** Remembers every file, folder and open descriptor. Returns what puts them back. */
export function rememberFiles(files: FileSystem): () => void {
  const { nextInode, currentPath } = files
  const nameTable = [...files.nameTable]
  const nodes = nodesOf(files).map((node) => ({ node, was: { ...node }, contents: copyOf(node.contents) }))
  const streams = files.streams.map((stream) => stream && { stream, was: { ...stream }, shared: { ...stream.shared } })
  return () => {
    Object.assign(files, { nextInode, currentPath, nameTable: [...nameTable] })
    for (const { node, was, contents } of nodes) putBack(node, { ...was, contents: copyOf(contents) })
    files.streams = streams.map((kept) => {
      if (kept === null) return null
      putBack(kept.stream, { ...kept.was, shared: { ...kept.shared } })
      return kept.stream
    })
  }
}

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
