/** Sets of chunks, a bit each. */

import { LIMITS } from '../../../protocol/limits.ts'

/** No file has more chunks than full ones and one more. */
export const CHUNKS_MAX = LIMITS.TREE_MAX_BYTES / LIMITS.TREE_CHUNK_BYTES + LIMITS.TREE_FILES_MAX
export const BITMAP_MAX_BYTES = Math.ceil(CHUNKS_MAX / 8)

export class Bitmap {
  readonly size: number
  readonly bytes: Uint8Array
  #count = 0

  constructor(size: number) {
    this.size = size
    this.bytes = new Uint8Array(Math.ceil(size / 8))
  }

  /** Undefined when they are not those of so many chunks: it may be a peer's word. */
  static of(size: number, bytes: Uint8Array): Bitmap | undefined {
    const bitmap = new Bitmap(size)
    if (bytes.length !== bitmap.bytes.length) return undefined
    for (let at = 0; at < bytes.length * 8; at++) {
      if (((bytes[at >> 3] ?? 0) & (1 << (at & 7))) === 0) continue
      if (at >= size) return undefined
      bitmap.add(at)
    }
    return bitmap
  }

  static all(size: number): Bitmap {
    const bitmap = new Bitmap(size)
    for (let at = 0; at < size; at++) bitmap.add(at)
    return bitmap
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#count === this.size
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let at = 0; at < this.size; at++) if (this.has(at)) yield at
  }

  has(at: number): boolean {
    return at < this.size && ((this.bytes[at >> 3] ?? 0) & (1 << (at & 7))) !== 0
  }

  /** False when it was there. */
  add(at: number): boolean {
    if (this.has(at)) return false
    this.bytes[at >> 3] = (this.bytes[at >> 3] ?? 0) | (1 << (at & 7))
    this.#count += 1
    return true
  }

  /** False when it was not there. */
  delete(at: number): boolean {
    if (!this.has(at)) return false
    this.bytes[at >> 3] = (this.bytes[at >> 3] ?? 0) & ~(1 << (at & 7))
    this.#count -= 1
    return true
  }
}
