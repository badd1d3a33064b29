/** The files of one unit: those it is given read-only, where they lie; what it writes in memory, and bounded. */

import {
  Directory,
  File,
  type Inode,
  OpenDirectory,
  OpenFile,
  type PreopenDirectory,
  wasi,
} from '@bjorn3/browser_wasi_shim'
import { LIMITS } from '../../../../../protocol/limits.ts'
import { CHECKPOINT_FILE } from '../../../program/surroundings.ts'
import type { GivenFile } from '../given.ts'
import type { Folder } from '../outputs/files.ts'
import { GivenInode, type Opened } from './given.ts'

const [TMP = '', CHECKPOINT = ''] = CHECKPOINT_FILE.split('/').slice(1)

export type Saving = {
  /** What the file of states holds at the start; empty: it is not there. */
  resumed: Uint8Array<ArrayBuffer>
  /** Told when that file is closed or synced after it was written, and when one gets its name. */
  onSaved(state: Uint8Array): void
}

export class Disk {
  readonly root: OpenFolder
  readonly #saving: Saving
  readonly #open = new Set<BoundedFile>()
  /** Bytes that may be written before it is counted again what there is. */
  #room = 0

  constructor(given: readonly GivenFile[], saving: Saving) {
    this.#saving = saving
    const top = folder()
    const tmp = folder()
    top.contents.set(TMP, tmp)
    for (const file of given) place(top, file.path.split('/'), file)
    if (saving.resumed.length > 0) tmp.contents.set(CHECKPOINT, new File(saving.resumed.buffer))
    this.root = new Root(top, this)
  }

  /** All but the folder for what is temporary. */
  get written(): Folder {
    const { dir } = this.root
    return folderOf(new Map([...dir.contents].filter(([name]) => name !== TMP)))
  }

  /** What was opened, as it may be used here. */
  opened({ ret, fd_obj: opened }: Opened, flags: number): Opened {
    if (opened instanceof OpenDirectory) return { ret, fd_obj: new OpenFolder(opened.dir, this) }
    if (!(opened instanceof OpenFile)) return { ret, fd_obj: opened }
    const file = new BoundedFile(opened.file, (flags & wasi.FDFLAGS_APPEND) !== 0, this)
    this.#open.add(file)
    return { ret, fd_obj: file }
  }

  closed(file: BoundedFile): void {
    this.#open.delete(file)
  }

  /** It has been written, or has got a name. */
  ready(file: Inode): void {
    const tmp = this.root.dir.contents.get(TMP)
    const saved = tmp instanceof Directory ? tmp.contents.get(CHECKPOINT) : undefined
    if (saved !== file || !(saved instanceof File)) return
    const { length } = saved.data
    if (length > 0 && length <= LIMITS.WASM_CHECKPOINT_MAX_BYTES) this.#saving.onSaved(saved.data)
  }

  /** Whether there is room for so many bytes more, which are taken. */
  take(bytes: number): boolean {
    if (bytes > this.#room) this.#room = this.#countRoom()
    if (bytes > this.#room) return false
    this.#room -= bytes
    return true
  }

  /** What was cut off, removed or replaced, and is not open, has made room. */
  #countRoom(): number {
    const files = new Set(filesBelow(this.root.dir))
    for (const { file } of this.#open) files.add(file)
    let room: number = LIMITS.WASI_WRITTEN_MAX_BYTES
    for (const { data } of files) room -= data.length
    return room
  }
}

/** Not by recursion, for they may lie deep. */
function* filesBelow(top: Directory): Generator<File> {
  const left: Inode[] = [top]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (next instanceof File) yield next
    else if (next instanceof Directory) for (const below of next.contents.values()) left.push(below)
  }
}

const folderOf = (contents: ReadonlyMap<string, Inode>): Folder => ({
  type: 'folder',
  names: () => [...contents.keys()],
  get(name) {
    const found = contents.get(name)
    if (found instanceof Directory) return folderOf(found.contents)
    if (found instanceof GivenInode) {
      const { given } = found
      return { type: 'file', bytes: given.bytes, content: () => given.pieces(), executable: false }
    }
    if (!(found instanceof File)) return undefined
    const { data } = found
    return { type: 'file', bytes: data.length, content: () => [data], executable: false }
  },
})

const folder = (): Directory => new Directory(new Map<string, Inode>())

function place(at: Directory, [name = '', ...rest]: readonly string[], file: GivenFile): void {
  if (rest.length === 0) {
    at.contents.set(name, new GivenInode(file))
    return
  }
  const known = at.contents.get(name)
  const next = known instanceof Directory ? known : folder()
  at.contents.set(name, next)
  place(next, rest, file)
}

class OpenFolder extends OpenDirectory {
  readonly #disk: Disk

  constructor(directory: Directory, disk: Disk) {
    super(directory)
    this.#disk = disk
  }

  override path_open(...of: Parameters<OpenDirectory['path_open']>): Opened {
    return this.#disk.opened(super.path_open(...of), of[5])
  }

  override path_link(...of: Parameters<OpenDirectory['path_link']>): number {
    const error = super.path_link(...of)
    if (error === wasi.ERRNO_SUCCESS) this.#disk.ready(of[1])
    return error
  }
}

class Root extends OpenFolder {
  override fd_prestat_get(): ReturnType<PreopenDirectory['fd_prestat_get']> {
    return { ret: wasi.ERRNO_SUCCESS, prestat: wasi.Prestat.dir('/') }
  }
}

type Written = { ret: number; nwritten: number }

/** The shim's own copies a file whole for each write to its end. */
class BoundedFile extends OpenFile {
  readonly #appends: boolean
  readonly #disk: Disk
  #isWritten = false

  constructor(file: File, appends: boolean, disk: Disk) {
    super(file)
    this.#appends = appends
    this.#disk = disk
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
    this.#isWritten = true
    return { ret: wasi.ERRNO_SUCCESS, nwritten: data.length }
  }

  override fd_allocate(offset: bigint, length: bigint): number {
    return offset + length <= this.file.size ? wasi.ERRNO_SUCCESS : this.fd_filestat_set_size(offset + length)
  }

  override fd_filestat_set_size(size: bigint): number {
    if (this.file.readonly) return wasi.ERRNO_BADF
    return this.#resize(Number(size)) ? wasi.ERRNO_SUCCESS : wasi.ERRNO_NOSPC
  }

  override fd_sync(): number {
    if (this.#isWritten) this.#disk.ready(this.file)
    this.#isWritten = false
    return wasi.ERRNO_SUCCESS
  }

  override fd_close(): number {
    this.#disk.closed(this)
    return this.fd_sync()
  }

  #resize(bytes: number): boolean {
    const { data } = this.file
    const more = bytes - data.length
    if (!this.#disk.take(more)) return false
    this.#isWritten = true
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
