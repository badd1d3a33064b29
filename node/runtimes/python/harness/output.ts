/** What a unit wrote, up to a bound. */

export class Collected {
  readonly #maxBytes: number
  readonly #parts: Uint8Array[] = []
  size = 0
  isOver = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The bytes are Python's own, and copied. */
  add(bytes: Uint8Array): void {
    const room = this.#maxBytes - this.size
    if (bytes.length > room) this.isOver = true
    if (room <= 0) return
    const part = bytes.slice(0, room)
    this.#parts.push(part)
    this.size += part.length
  }

  text(): string {
    const whole = new Uint8Array(this.size)
    let at = 0
    for (const part of this.#parts) {
      whole.set(part, at)
      at += part.length
    }
    return new TextDecoder().decode(whole)
  }
}
