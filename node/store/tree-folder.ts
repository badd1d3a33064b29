/** One tree as a folder: which of its chunks are there, read and written in place. */

import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readlink, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TreeLayout } from '../../protocol/data/layout.ts'
import type { Tree, TreeFile } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'

/** Whatever lies there, a link is not followed. */
const WRITE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
const READ = constants.O_RDONLY | constants.O_NOFOLLOW

export class TreeFolder {
  readonly folder: string
  readonly layout: TreeLayout
  readonly #held: Uint8Array
  #left: number

  private constructor(folder: string, layout: TreeLayout) {
    this.folder = folder
    this.layout = layout
    this.#held = new Uint8Array(Math.ceil(layout.chunks / 8))
    this.#left = layout.chunks
  }

  /** Of files that were read just now. */
  static whole(folder: string, tree: Tree): TreeFolder {
    const whole = new TreeFolder(folder, new TreeLayout(tree))
    whole.#held.fill(0xff)
    whole.#left = 0
    return whole
  }

  /** Lays out the folders and empty files, and looks which chunks are there by their digests. @throws E_DISK_FULL */
  static async open(folder: string, tree: Tree): Promise<TreeFolder> {
    const opened = new TreeFolder(folder, new TreeLayout(tree))
    let made = ''
    for (const file of tree.files) {
      const parent = dirname(join(folder, file.path))
      // In order, files of one folder mostly follow each other.
      if (parent !== made) await onDisk(() => mkdir(parent, { recursive: true, mode: 0o755 }))
      made = parent
      if (file.bytes === 0) await opened.#on(file, WRITE, async () => undefined)
    }
    for (const { path, to } of tree.links ?? []) await opened.#link(path, to)
    await opened.#look()
    return opened
  }

  /** Nothing of this node ever follows it. */
  #link(path: string, to: string): Promise<void> {
    const place = join(this.folder, path)
    return onDisk(async () => {
      await mkdir(dirname(place), { recursive: true, mode: 0o755 })
      if ((await readlink(place).catch(() => null)) === to) return
      await rm(place, { force: true, recursive: true })
      await symlink(to, place)
    })
  }

  /** All of its bytes are there. */
  get whole(): boolean {
    return this.#left === 0
  }

  has(chunk: number): boolean {
    return chunk >= 0 && chunk < this.layout.chunks && ((this.#held[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0
  }

  *missing(): Iterable<number> {
    for (let chunk = 0; chunk < this.layout.chunks; chunk++) if (!this.has(chunk)) yield chunk
  }

  /** @throws E_NOT_FOUND, and E_BLOB when the disk changed the bytes: then the chunk is missing again */
  async read(number: number): Promise<Uint8Array> {
    const chunk = this.layout.chunk(number)
    if (chunk === undefined || !this.has(number)) throw new TalkootError('E_NOT_FOUND', `chunk ${number} is not here`)
    const bytes = await this.#on(chunk.file, READ, (file) => readAt(file, chunk.offset, chunk.bytes))
    if (matches(bytes, chunk.sha256)) return bytes
    this.#mark(number, false)
    throw new TalkootError('E_BLOB', `chunk ${number} of ${this.folder} was damaged on the disk`)
  }

  /** Keeps a chunk that came from anywhere. @throws E_BLOB when it is not the one, E_NOT_FOUND, E_DISK_FULL */
  async write(number: number, bytes: Uint8Array): Promise<void> {
    const chunk = this.layout.chunk(number)
    if (chunk === undefined) throw new TalkootError('E_NOT_FOUND', `there is no chunk ${number}`)
    if (bytes.length !== chunk.bytes || !matches(bytes, chunk.sha256)) {
      throw new TalkootError('E_BLOB', `the bytes are not those of chunk ${number}`)
    }
    if (this.has(number)) return
    await this.#on(chunk.file, WRITE, (file) => writeAt(file, chunk.offset, bytes))
    this.#mark(number, true)
  }

  async #look(): Promise<void> {
    for (let number = 0; number < this.layout.chunks; ) number = await this.#lookAtFile(number)
  }

  /** Of the file the chunk begins; gives the first chunk of the next file. */
  async #lookAtFile(first: number): Promise<number> {
    const { file } = this.layout.chunk(first) ?? { file: undefined }
    if (file === undefined) return this.layout.chunks
    const there = await lstat(join(this.folder, file.path)).catch(() => null)
    let number = first
    for (let chunk = this.layout.chunk(number); chunk?.file === file; chunk = this.layout.chunk(++number)) {
      const { offset, bytes, sha256 } = chunk
      if (there === null || !there.isFile() || there.size < offset + bytes) continue
      const found = await this.#on(file, READ, (handle) => readAt(handle, offset, bytes))
      if (matches(found, sha256)) this.#mark(number, true)
    }
    return number
  }

  #mark(chunk: number, held: boolean): void {
    if (this.has(chunk) === held) return
    this.#held[chunk >> 3] = (this.#held[chunk >> 3] ?? 0) ^ (1 << (chunk & 7))
    this.#left += held ? -1 : 1
  }

  #on<T>({ path, executable }: TreeFile, flags: number, work: (file: FileHandle) => Promise<T>): Promise<T> {
    return onDisk(async () => {
      const file = await open(join(this.folder, path), flags, executable ? 0o755 : 0o644)
      try {
        return await work(file)
      } finally {
        await file.close()
      }
    })
  }
}

/** Fewer bytes when the file ends before. */
async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let read = 0
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, offset + read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}

async function writeAt(file: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten
  }
}

const matches = (bytes: Uint8Array, sha256: Uint8Array): boolean => hash('sha256', bytes, 'buffer').equals(sha256)

async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof TalkootError) throw cause
    throw new TalkootError('E_DISK_FULL', 'a file of the tree could not be read or written', { cause })
  }
}
