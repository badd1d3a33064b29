/** Units that want further copies, and who may have them. */

import type { Chance } from './chance.ts'

/** `turn`: which of its peer's words it is. */
export type Word = { peer: number; value: number; confirmed: boolean; turn: number }

export type Unit = {
  index: number
  words: Word[]
  holders: number[]
  /** Had it and did not answer. */
  refused: number[]
  /** Copies wanted beyond those in hand; 0 once it is decided. */
  missing: number
  later: boolean
  check: boolean
}

const TRIES = 12

export class Copies {
  readonly #chance: Chance
  /** Those that want a copy now, and those that may wait. */
  readonly #now: Unit[] = []
  readonly #later: Unit[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  get wanted(): number {
    return this.#now.length
  }

  place(unit: Unit): void {
    const pool = unit.later ? this.#later : this.#now
    for (let i = 0; i < unit.missing; i++) pool.push(unit)
  }

  /** A unit that the peer neither holds nor spoke on; drawn at random, so that none can choose its mate. -1: none. */
  draw(peer: number): number {
    return this.#draw(this.#now, peer)
  }

  drawLater(peer: number): number {
    return this.#draw(this.#later, peer)
  }

  #draw(pool: Unit[], peer: number): number {
    for (let tries = 0; tries < TRIES && pool.length > 0; tries++) {
      const at = this.#chance.below(pool.length)
      const unit = pool[at]
      if (unit === undefined) return -1
      if (unit.missing <= 0 || unit.later !== (pool === this.#later)) {
        pool[at] = pool[pool.length - 1] ?? unit
        pool.pop()
        continue
      }
      const { holders, refused, words } = unit
      if (holders.includes(peer) || refused.includes(peer) || words.some((word) => word.peer === peer)) continue
      unit.missing -= 1
      holders.push(peer)
      return unit.index
    }
    return -1
  }
}
