/** Units that were given to somebody, a bit each: a result may come again in the place of an earlier one. */

export class UnitsSeen {
  #bits = new Uint8Array(1_024)
  size = 0

  add(unit: number): void {
    const [byte, bit] = [unit >> 3, 1 << (unit & 7)]
    if (byte >= this.#bits.length) {
      const wider = new Uint8Array(Math.max(byte + 1, 2 * this.#bits.length))
      wider.set(this.#bits)
      this.#bits = wider
    }
    const known = this.#bits[byte] ?? 0
    if ((known & bit) !== 0) return
    this.#bits[byte] = known | bit
    this.size += 1
  }
}
