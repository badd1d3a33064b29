/** Units of one sweep, a bit each: 3,000,000 units are 375 kB. */

export class UnitSet {
  readonly #bits: Uint8Array
  #size = 0

  constructor(units: number) {
    this.#bits = new Uint8Array(Math.ceil(units / 8))
  }

  get size(): number {
    return this.#size
  }

  has(unit: number): boolean {
    return ((this.#bits[unit >> 3] ?? 0) & (1 << (unit & 7))) !== 0
  }

  add(unit: number): void {
    if (this.has(unit)) return
    this.#bits[unit >> 3] = (this.#bits[unit >> 3] ?? 0) | (1 << (unit & 7))
    this.#size += 1
  }

  delete(unit: number): void {
    if (!this.has(unit)) return
    this.#bits[unit >> 3] = (this.#bits[unit >> 3] ?? 0) & ~(1 << (unit & 7))
    this.#size -= 1
  }
}
