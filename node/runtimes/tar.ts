/**
 * Reads a tar archive as GNU tar writes it (`--format=gnu`), from a sandbox: nothing of it is believed. Files only: links,
 * devices and pipes are refused by name.
 */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitFile } from './runtime.ts'
import { BLOCK_BYTES, field, octalOf, padded, sumOf, untilZero } from './tar-block.ts'

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

function headerOf(block: Buffer): { name: string; bytes: number; executable: boolean; kind: string } {
  if (numberOf(field(block, 'sum')) !== sumOf(block)) throw broken()
  const size = field(block, 'bytes')
  const name = textOf(field(block, 'name'))
  // GNU's way to write what does not fit: 8 GiB or more.
  if (((size[0] ?? 0) & 0x80) !== 0) throw refused(`${JSON.stringify(name)} is too long`)
  const executable = (numberOf(field(block, 'mode')) & 0o100) !== 0
  return { name, bytes: numberOf(size), executable, kind: field(block, 'type').toString('latin1') }
}

function numberOf(bytes: Buffer): number {
  const number = octalOf(bytes)
  if (number === null) throw broken()
  return number
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(untilZero(bytes))
  } catch (cause) {
    throw new TalkootError('E_TREE', 'a file has a name that is not UTF-8', { cause })
  }
}

/** Bytes by count, from parts of any length. */
class Source {
  readonly #stream: AsyncIterator<Uint8Array>
  #part: Uint8Array = new Uint8Array()
  /** Of the file that is read. */
  left = 0

  constructor(stream: AsyncIterator<Uint8Array>) {
    this.#stream = stream
  }

  async take(bytes: number): Promise<Buffer> {
    const taken = Buffer.alloc(bytes)
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
