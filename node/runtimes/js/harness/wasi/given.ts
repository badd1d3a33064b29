/** A file the job brings as WASI programs find it: read where it lies, and not to be changed. */

import { Fd, Inode, type OpenDirectory, wasi } from '@bjorn3/browser_wasi_shim'
import type { GivenFile } from '../given.ts'

export type Opened = ReturnType<OpenDirectory['path_open']>

export class GivenInode extends Inode {
  readonly given: GivenFile

  constructor(given: GivenFile) {
    super()
    this.given = given
  }

  override path_open(flags: number, rights: bigint): Opened {
    const writes = (rights & BigInt(wasi.RIGHTS_FD_WRITE)) !== 0n || (flags & wasi.OFLAGS_TRUNC) !== 0
    if (writes) return { ret: wasi.ERRNO_PERM, fd_obj: null }
    return { ret: wasi.ERRNO_SUCCESS, fd_obj: new OpenGiven(this) }
  }

  override stat(): wasi.Filestat {
    return new wasi.Filestat(this.ino, wasi.FILETYPE_REGULAR_FILE, BigInt(this.given.bytes))
  }
}

type Read = ReturnType<Fd['fd_read']>

class OpenGiven extends Fd {
  readonly #inode: GivenInode
  #at = 0n

  constructor(inode: GivenInode) {
    super()
    this.#inode = inode
  }

  override fd_fdstat_get(): ReturnType<Fd['fd_fdstat_get']> {
    return { ret: wasi.ERRNO_SUCCESS, fdstat: new wasi.Fdstat(wasi.FILETYPE_REGULAR_FILE, 0) }
  }

  override fd_filestat_get(): ReturnType<Fd['fd_filestat_get']> {
    return { ret: wasi.ERRNO_SUCCESS, filestat: this.#inode.stat() }
  }

  override fd_read(size: number): Read {
    const read = this.fd_pread(size, this.#at)
    this.#at += BigInt(read.data.length)
    return read
  }

  override fd_pread(size: number, offset: bigint): Read {
    return { ret: wasi.ERRNO_SUCCESS, data: this.#inode.given.piece(Number(offset), size) }
  }

  override fd_seek(offset: bigint, whence: number): ReturnType<Fd['fd_seek']> {
    const from = new Map([
      [wasi.WHENCE_SET, 0n],
      [wasi.WHENCE_CUR, this.#at],
      [wasi.WHENCE_END, BigInt(this.#inode.given.bytes)],
    ]).get(whence)
    if (from === undefined || from + offset < 0n) return { ret: wasi.ERRNO_INVAL, offset: 0n }
    this.#at = from + offset
    return this.fd_tell()
  }

  override fd_tell(): ReturnType<Fd['fd_tell']> {
    return { ret: wasi.ERRNO_SUCCESS, offset: this.#at }
  }

  override fd_write(): ReturnType<Fd['fd_write']> {
    return { ret: wasi.ERRNO_BADF, nwritten: 0 }
  }

  override fd_pwrite(): ReturnType<Fd['fd_pwrite']> {
    return { ret: wasi.ERRNO_BADF, nwritten: 0 }
  }
}
