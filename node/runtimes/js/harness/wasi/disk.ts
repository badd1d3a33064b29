/** The files of one unit: all in memory, those it is given read-only, what it writes bounded. */

import { Directory, File, type Inode, OpenDirectory, OpenFile, PreopenDirectory, wasi } from '@bjorn3/browser_wasi_shim'
import { LIMITS } from '../../../../../protocol/limits.ts'
import type { Folder } from '../outputs/files.ts'

const TMP = 'tmp'

export type GivenFile = { path: string; bytes: ArrayBuffer }

type Opened = ReturnType<OpenDirectory['path_open']>
/** Bytes it may still write. */
type Room = { bytes: number }

export class Disk {
  readonly root: PreopenDirectory

  constructor(given: readonly GivenFile[]) {
    const top = folder()
    top.contents.set(TMP, folder())
    for (const { path, bytes } of given) place(top, path.split('/'), bytes)
    this.root = new Root(top.contents, { bytes: LIMITS.WASI_WRITTEN_MAX_BYTES })
  }

  /** All but the folder for what is temporary. */
  get written(): Folder {
    const { dir } = this.root
    return folderOf(new Map([...dir.contents].filter(([name]) => name !== TMP)))
  }
}

const folderOf = (contents: ReadonlyMap<string, Inode>): Folder => ({
  type: 'folder',
  names: () => [...contents.keys()],
  get(name) {
    const found = contents.get(name)
    if (found instanceof Directory) return folderOf(found.contents)
    return found instanceof File ? { type: 'file', bytes: found.data, executable: false } : undefined
  },
})

const folder = (): Directory => new Directory(new Map<string, Inode>())

function place(at: Directory, [name = '', ...rest]: readonly string[], bytes: ArrayBuffer): void {
  if (rest.length === 0) {
    // A view: what is read-only need not be copied for each unit.
    at.contents.set(name, new File(bytes, { readonly: true }))
    return
  }
  const known = at.contents.get(name)
  const next = known instanceof Directory ? known : folder()
  at.contents.set(name, next)
  place(next, rest, bytes)
}

class Root extends PreopenDirectory {
  readonly #room: Room

  constructor(contents: Map<string, Inode>, room: Room) {
    super('/', contents)
    this.#room = room
  }

  override path_open(...of: Parameters<OpenDirectory['path_open']>): Opened {
    return bounded(super.path_open(...of), of[5], this.#room)
  }
}

class OpenFolder extends OpenDirectory {
  readonly #room: Room

  constructor(directory: Directory, room: Room) {
    super(directory)
    this.#room = room
  }

  override path_open(...of: Parameters<OpenDirectory['path_open']>): Opened {
    return bounded(super.path_open(...of), of[5], this.#room)
  }
}

/** What was opened, with the bound on what is written. */
function bounded({ ret, fd_obj: opened }: Opened, flags: number, room: Room): Opened {
  if (opened instanceof OpenDirectory) return { ret, fd_obj: new OpenFolder(opened.dir, room) }
  if (!(opened instanceof OpenFile)) return { ret, fd_obj: opened }
  return { ret, fd_obj: new BoundedFile(opened.file, (flags & wasi.FDFLAGS_APPEND) !== 0, room) }
}

type Written = { ret: number; nwritten: number }

/** The shim's own copies a file whole for each write to its end. */
class BoundedFile extends OpenFile {
  readonly #appends: boolean
  readonly #room: Room

  constructor(file: File, appends: boolean, room: Room) {
    super(file)
    this.#appends = appends
    this.#room = room
  }

  override fd_write(data: Uint8Array): Written {
    if (this.#appends) this.file_pos = this.file.size
    const written = this.fd_pwrite(data, this.file_pos)
    this.file_pos += BigInt(written.nwritten)
    return written
  }

  override fd_pwrite(data: Uint8Array, offset: bigint): Written {
    if (this.file.readonly) return { ret: wasi.ERRNO_BADF, nwritten: 0 }
    const end = Number(offset) + data.length
    if (end > this.file.data.length && !this.#resize(end)) return { ret: wasi.ERRNO_NOSPC, nwritten: 0 }
    this.file.data.set(data, Number(offset))
    return { ret: wasi.ERRNO_SUCCESS, nwritten: data.length }
  }

  override fd_allocate(offset: bigint, length: bigint): number {
    return offset + length <= this.file.size ? wasi.ERRNO_SUCCESS : this.fd_filestat_set_size(offset + length)
  }

  override fd_filestat_set_size(size: bigint): number {
    if (this.file.readonly) return wasi.ERRNO_BADF
    return this.#resize(Number(size)) ? wasi.ERRNO_SUCCESS : wasi.ERRNO_NOSPC
  }

  /** What is cut off makes room again. */
  #resize(bytes: number): boolean {
    const { data } = this.file
    const more = bytes - data.length
    if (more > this.#room.bytes) return false
    this.#room.bytes -= more
    if (more <= 0) {
      this.file.data = data.slice(0, bytes)
    } else if (bytes <= data.buffer.byteLength) {
      this.file.data = new Uint8Array(data.buffer, 0, bytes)
    } else {
      const larger = new Uint8Array(Math.max(bytes, Math.min(2 * data.length, LIMITS.WASI_WRITTEN_MAX_BYTES)))
      larger.set(data)
      this.file.data = larger.subarray(0, bytes)
    }
    return true
  }
}
