/** Bytes of a WebAssembly module, read in order. */

import { TalkootError } from '../errors.ts'

const text = new TextDecoder('utf-8', { fatal: true })

/** Throws E_SOURCE at the end of the bytes. */
export class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new TalkootError('E_SOURCE', 'the module ends in the middle')
    return byte
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + length)
    if (taken.length < length) throw new TalkootError('E_SOURCE', 'the module ends in the middle')
    this.#at += length
    return taken
  }

  /** LEB128. Numbers beyond 2^53 lose bits: no length or index is so large. */
  unsigned(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  name(): string {
    const bytes = this.take(this.unsigned())
    try {
      return text.decode(bytes)
    } catch (cause) {
      throw new TalkootError('E_SOURCE', 'the module has a name that is no text', { cause })
    }
  }

  skip(bytes: number): void {
    this.take(bytes)
  }

  /** A number of any size and sign, of which only the end matters. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  list<T>(item: (from: Reader) => T): T[] {
    const items: T[] = []
    for (let left = this.unsigned(); left > 0; left--) items.push(item(this))
    return items
  }
}
