/** Headers of tar archives (POSIX.1-2017 `pax`, GNU tar), as far as telling how much is in one. Nothing of it is believed. */

import { TalkootError } from '../../../protocol/errors.ts'
import { field, octalOf, sumOf, untilZero } from '../tar-block.ts'

/** Extended headers, and names, are longer than this in no image. */
const EXTENDED_MAX_BYTES = 128 * 1024
const NAME_MAX_CHARS = 4_096

/** `bytes`: of its content, as the archive has it. */
export type TarEntry = { name: string; link: string; type: string; bytes: number }

type Said = { name?: string; link?: string; bytes?: number }

/** GNU's and the pax way to say something of the next entry. */
const EXTENDED = { pax: 'x', paxGlobal: 'g', longName: 'L', longLink: 'K' } as const
const SPARSE = 'S'

/** Tells entries from blocks, one after the other; null: it takes more blocks to know. */
export class TarHeaders {
  #pending: { type: string; bytes: number } | null = null
  #said: Said = {}

  /** Bytes, without padding, that follow `next` before its next call. */
  bodyBytes = 0

  /** `block`: a header, or all of the body that `wanted` asked for. @throws E_IMAGE */
  next(block: Buffer): TarEntry | 'end' | null {
    if (this.#pending !== null) {
      this.#extend(this.#pending.type, block)
      this.#pending = null
      this.bodyBytes = 0
      return null
    }
    if (block.every((byte) => byte === 0)) return 'end'
    const { name, link, type, bytes } = headerOf(block)
    if (type === SPARSE) throw damaged('has sparse files')
    if ((Object.values(EXTENDED) as string[]).includes(type)) {
      if (bytes > EXTENDED_MAX_BYTES) throw damaged('has a header that is too long')
      this.#pending = { type, bytes }
      this.bodyBytes = bytes
      return null
    }
    const entry = { name, link, type, bytes, ...this.#said }
    // Others take it for a folder, and what follows for entries.
    if (type === '\0' && entry.name.endsWith('/') && entry.bytes > 0) throw damaged('has a folder with content')
    this.#said = {}
    this.bodyBytes = entry.bytes
    return entry
  }

  /** Whether the body that follows is to be given to `next`. */
  get wanted(): boolean {
    return this.#pending !== null
  }

  #extend(type: string, body: Buffer): void {
    if (type === EXTENDED.longName) this.#said.name = textOf(body)
    else if (type === EXTENDED.longLink) this.#said.link = textOf(body)
    else if (type === EXTENDED.pax) Object.assign(this.#said, paxOf(body))
    for (const name of [this.#said.name, this.#said.link]) {
      if (name !== undefined && name.length > NAME_MAX_CHARS) throw damaged('has a name that is too long')
    }
  }
}

function headerOf(block: Buffer): TarEntry {
  if (numberOf(field(block, 'sum')) !== sumOf(block)) throw damaged('is not a tar archive, or is damaged')
  const prefix = textOf(field(block, 'magic')).startsWith('ustar') ? textOf(field(block, 'prefix')) : ''
  const name = textOf(field(block, 'name'))
  const type = field(block, 'type').toString('latin1')
  // A link has no content, whatever its header says.
  const bytes = '123456'.includes(type) ? 0 : numberOf(field(block, 'bytes'))
  return { name: prefix === '' ? name : `${prefix}/${name}`, link: textOf(field(block, 'link')), type, bytes }
}

/** Octal digits, or big-endian binary where the first bit is set. */
function numberOf(bytes: Buffer): number {
  const [first = 0] = bytes
  if ((first & 0x80) === 0) {
    const number = octalOf(bytes)
    if (number === null) throw damaged('is not a tar archive, or is damaged')
    return number
  }
  let value = first & 0x7f
  for (const byte of bytes.subarray(1)) value = value * 256 + byte
  if (!Number.isSafeInteger(value)) throw damaged('has a length that is none')
  return value
}

/** Records of `length key=value` and a line end. Others read what is not quite so in other ways: it is refused. */
function paxOf(body: Buffer): Said {
  const said: Said = {}
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(0x20, at)
    const digits = blank < 0 || blank - at > LENGTH_DIGITS ? '' : body.toString('latin1', at, blank)
    const end = at + Number(digits)
    const equals = body.indexOf(0x3d, blank)
    const fits = /^[1-9]\d*$/.test(digits) && end <= body.length && body[end - 1] === 0x0a
    if (!fits || equals < 0 || equals >= end) throw damaged('has an extended header that is damaged')
    const key = body.toString('utf8', blank + 1, equals)
    if (key.startsWith('GNU.sparse')) throw damaged('has sparse files')
    if (key === 'path') said.name = body.toString('utf8', equals + 1, end - 1)
    if (key === 'linkpath') said.link = body.toString('utf8', equals + 1, end - 1)
    if (key === 'size') said.bytes = lengthOf(body.toString('latin1', equals + 1, end - 1))
    at = end
  }
  return said
}

const LENGTH_DIGITS = 7

function lengthOf(digits: string): number {
  const bytes = /^\d+$/.test(digits) ? Number(digits) : Number.NaN
  if (!Number.isSafeInteger(bytes)) throw damaged('has a length that is none')
  return bytes
}

const textOf = (bytes: Buffer): string => untilZero(bytes).toString('utf8')

export const damaged = (what: string): TalkootError => new TalkootError('E_IMAGE', `the image ${what}`)
