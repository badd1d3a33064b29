/** A world with one clock and one source of chance: what happens in it depends on its seed only. */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { skipN } from 'pure-rand/utils/skipN'
import { Timers } from '../../node/jobs/scheduler/timers.ts'

export class World {
  readonly #random
  readonly #timers = new Timers<() => void>()
  now = 0

  constructor(seed: number) {
    this.#random = xoroshiro128plus(seed)
    // Seeds that are near one another begin alike.
    skipN(this.#random, 64)
  }

  after(ms: number, action: () => void): void {
    this.#timers.set(this.now + ms, action)
  }

  /** Lets time pass until `done`, or `untilMs`, or nothing more will happen. */
  run(untilMs: number, done: () => boolean): void {
    while (!done()) {
      const at = this.#timers.nextAt
      if (at === null || at > untilMs) return
      this.now = at
      this.#timers.take(at)?.()
    }
  }

  chance(probability: number): boolean {
    return uniformFloat64(this.#random) < probability
  }

  between(low: number, high: number): number {
    return low + uniformFloat64(this.#random) * (high - low)
  }

  /** Every order of magnitude is as likely. */
  logBetween(low: number, high: number): number {
    return low * (high / low) ** uniformFloat64(this.#random)
  }

  int(low: number, high: number): number {
    return uniformInt(this.#random, low, high)
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }
}
