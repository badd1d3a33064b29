/** The files a script is given, as files Python sees: read where they lie, and not to be changed. */

import type { GivenFile } from '../../js/harness/given.ts'
import type { FileNode, FileSystem, Stream } from './files.ts'
import type { Emscripten } from './python.ts'

/** "Read-only file system" and "Input/output error", as Emscripten numbers them. */
const EROFS = 69
const EIO = 29
/** Of the flags a file is opened with: to write. */
const WRITES = 3
const PLAIN = 0o644
const EXECUTABLE = 0o755

export function layGiven(emscripten: Emscripten, folder: string, given: readonly GivenFile[]): void {
  const { FS } = emscripten
  for (const file of given) {
    const node = emptyFile(FS, `${folder}/${file.path}`)
    node.mode = (node.mode & ~0o777) | (file.executable ? EXECUTABLE : PLAIN)
    node.usedBytes = file.bytes
    node.given = file
    node.node_ops = { ...node.node_ops, setattr: () => refuse(FS) }
    node.stream_ops = streamOps(emscripten, file)
  }
}

function emptyFile(files: FileSystem, path: string): FileNode {
  files.mkdirTree(path.slice(0, path.lastIndexOf('/')))
  files.writeFile(path, new Uint8Array())
  return files.lookupPath(path).node
}

function streamOps(emscripten: Emscripten, given: GivenFile): object {
  const { FS } = emscripten
  const memory = FS.filesystems.MEMFS.stream_ops
  const read = (into: Uint8Array, at: number): number => {
    try {
      return given.read(into, at)
    } catch {
      throw new FS.ErrnoError(EIO)
    }
  }
  return {
    llseek: memory.llseek,
    open(stream: Stream & { fd: number; flags: number }): void {
      if ((stream.flags & WRITES) === 0) return
      FS.closeStream(stream.fd)
      refuse(FS)
    },
    read: (_: Stream, into: Int8Array, offset: number, length: number, at: number) =>
      read(new Uint8Array(into.buffer, into.byteOffset + offset, length), at),
    mmap({ node }: Stream, length: number, at: number, ...how: [number, number]) {
      const mapped = memory.mmap({ node: { mode: node.mode, contents: new Uint8Array() } }, length, at, ...how)
      read(emscripten.HEAPU8.subarray(mapped.ptr, mapped.ptr + length), at)
      return mapped
    },
  }
}

function refuse(files: FileSystem): never {
  throw new files.ErrnoError(EROFS)
}
