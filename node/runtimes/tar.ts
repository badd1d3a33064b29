/**
 * Reads a tar archive as GNU tar writes it (`--format=gnu`), from a sandbox: nothing of it is believed. Files only: links,
 * devices and pipes are refused by name.
 */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitFile } from './runtime.ts'

const BLOCK_BYTES = 512
/** Kinds of entries (POSIX ustar; `L` and `K` are GNU's: the name of the next entry, or of what it links to). */
const FILES = ['0', '\0']
const FOLDER = '5'
const LONG_NAME = 'L'
const WHAT: Readonly<Record<string, string>> = {
  '1': 'a second name of another file',
  '2': 'a link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
}

/**
 * Each file must be read to its end before the next is asked for.
 * @throws E_TREE for what no tree can hold, E_UNIT_CRASHED when the archive breaks off
 */
export async function* filesOfTar(stream: AsyncIterator<Uint8Array>): AsyncGenerator<UnitFile> {
  const source = new Source(stream)
  let longName: string | null = null
  for (;;) {
    const block = await source.take(BLOCK_BYTES)
    if (block.every((byte) => byte === 0)) return await source.drain()
    const { name, bytes, executable, kind } = headerOf(block)
    if (kind === LONG_NAME) {
      if (bytes > LIMITS.FILE_PATH_MAX_BYTES + './'.length + 1) throw refused(`${name} is too long a name`)
      longName = textOf(await source.take(padded(bytes)))
      continue
    }
    const path = (longName ?? name).replace(/^\.\//, '')
    longName = null
    if (kind === FOLDER) continue
    if (!FILES.includes(kind)) throw refused(`${JSON.stringify(path)} is ${WHAT[kind] ?? 'no plain file'}`)
    yield { path, bytes, executable, content: source.parts(bytes) }
    if (source.left > 0) throw new TalkootError('E_INTERNAL', `${path} was not read to its end`)
    await source.take(padded(bytes) - bytes)
  }
}

function headerOf(block: Uint8Array): { name: string; bytes: number; executable: boolean; kind: string } {
  const field = (from: number, to: number): Uint8Array => block.subarray(from, to)
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0)
  if (octalOf(field(148, 156)) !== sum) throw broken()
  const size = field(124, 136)
  const name = textOf(field(0, 100))
  // GNU's way to write what does not fit: 8 GiB or more.
  if (((size[0] ?? 0) & 0x80) !== 0) throw refused(`${JSON.stringify(name)} is too long`)
  const kind = String.fromCharCode(block[156] ?? 0)
  return { name, bytes: octalOf(size), executable: (octalOf(field(100, 108)) & 0o100) !== 0, kind }
}

const octalOf = (field: Uint8Array): number => {
  const text = Buffer.from(field).toString('latin1').replaceAll(/[\0 ]/g, '')
  if (!/^[0-7]*$/.test(text)) throw broken()
  return Number.parseInt(text || '0', 8)
}

function textOf(field: Uint8Array): string {
  const end = field.indexOf(0)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(end < 0 ? field : field.subarray(0, end))
  } catch (cause) {
    throw new TalkootError('E_TREE', 'a file has a name that is not UTF-8', { cause })
  }
}

const padded = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES

/** Bytes by count, from parts of any length. */
class Source {
  readonly #stream: AsyncIterator<Uint8Array>
  #part: Uint8Array = new Uint8Array()
  /** Of the file that is read. */
  left = 0

  constructor(stream: AsyncIterator<Uint8Array>) {
    this.#stream = stream
  }

  async take(bytes: number): Promise<Uint8Array> {
    const taken = new Uint8Array(bytes)
    for (let filled = 0; filled < bytes; ) {
      const part = await this.#next(bytes - filled)
      taken.set(part, filled)
      filled += part.length
    }
    return taken
  }

  async *parts(bytes: number): AsyncGenerator<Uint8Array> {
    this.left = bytes
    while (this.left > 0) {
      const part = await this.#next(this.left)
      this.left -= part.length
      yield part
    }
  }

  async drain(): Promise<void> {
    while ((await this.#stream.next()).done !== true) this.#part = new Uint8Array()
  }

  /** Some bytes, `most` at most. */
  async #next(most: number): Promise<Uint8Array> {
    while (this.#part.length === 0) {
      const { value, done } = await this.#stream.next()
      if (done === true) throw broken()
      this.#part = value
    }
    const part = this.#part.subarray(0, most)
    this.#part = this.#part.subarray(part.length)
    return part
  }
}

const refused = (why: string): TalkootError => new TalkootError('E_TREE', why)
const broken = (): TalkootError => new TalkootError('E_UNIT_CRASHED', 'the files of the unit could not be collected')
