/** Chance for simulations of millions of steps: xorshift128, seeded; quick, and the same on every machine. */

export class Chance {
  readonly #state: Uint32Array

  constructor(seed: number) {
    this.#state = Uint32Array.of(seed ^ 0x9e3779b9, seed + 0x7f4a7c15, 0x94d049bb, seed * 2_654_435_761)
    for (let i = 0; i < 64; i++) this.next()
  }

  /** At least 0, below 1, by steps of 2^-32. */
  next(): number {
    const state = this.#state
    let t = state[3] ?? 0
    const s = state[0] ?? 0
    state[3] = state[2] ?? 0
    state[2] = state[1] ?? 0
    state[1] = s
    t ^= t << 11
    t ^= t >>> 8
    state[0] = t ^ s ^ (s >>> 19)
    return (state[0] ?? 0) / 2 ** 32
  }

  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  hit(probability: number): boolean {
    return this.next() < probability
  }

  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const [a, b] = [items[i], items[j]]
      if (a === undefined || b === undefined) return
      items[i] = b
      items[j] = a
    }
  }
}
