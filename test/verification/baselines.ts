/** The rules others use, for the same mesh: quorums, BOINC's adaptive replication, spot-checks with backtracking. */

import { RIGHT } from './adversaries.ts'
import type { Chance } from './chance.ts'
import type { Outcome, Rule } from './mesh.ts'

type Init = { peers: number; units: number; chance: Chance }

/** Results that agree, of at most this many: as a policy allows. */
const VOICES_MAX = 15

type Voted = { index: number; words: Map<number, number>; holders: number[]; missing: number; agree: number }

/**
 * `agree` equal results on different peers. `trusts`: the peer's word alone is taken, this once. `seen`: a peer's result
 * was confirmed, or not.
 */
class VotingRule implements Rule {
  readonly #init: Init
  readonly #agree: number
  readonly #trusts: (peer: number) => boolean
  readonly #seen: (peer: number, good: boolean) => void
  readonly #open = new Map<number, Voted>()
  readonly #pool: Voted[] = []
  #cursor = 0
  #accepted = 0
  #wrong = 0
  #failed = 0

  constructor(
    init: Init,
    agree: number,
    trusts: (peer: number) => boolean = () => false,
    seen: (peer: number, good: boolean) => void = () => undefined,
  ) {
    this.#init = init
    this.#agree = agree
    this.#trusts = trusts
    this.#seen = seen
  }

  next(peer: number): number {
    for (let tries = 0; tries < 12 && this.#pool.length > 0; tries++) {
      const at = this.#init.chance.below(this.#pool.length)
      const unit = this.#pool[at]
      if (unit === undefined) break
      if (unit.missing <= 0 || !this.#open.has(unit.index)) {
        this.#pool[at] = this.#pool[this.#pool.length - 1] ?? unit
        this.#pool.pop()
        continue
      }
      if (unit.holders.includes(peer)) continue
      unit.missing -= 1
      unit.holders.push(peer)
      return unit.index
    }
    if (this.#cursor >= this.#init.units) return -1
    const agree = this.#trusts(peer) ? 1 : this.#agree
    const unit: Voted = { index: this.#cursor++, words: new Map(), holders: [peer], missing: agree - 1, agree }
    this.#open.set(unit.index, unit)
    for (let i = 1; i < agree; i++) this.#pool.push(unit)
    return unit.index
  }

  hear(peer: number, index: number, value: number): void {
    const unit = this.#open.get(index)
    if (unit === undefined) return
    unit.words.set(peer, value)
    const votes = new Map<number, number>()
    for (const word of unit.words.values()) votes.set(word, (votes.get(word) ?? 0) + 1)
    const [winner, count] = [...votes].reduce((best, vote) => (vote[1] > best[1] ? vote : best))
    if (count >= unit.agree) {
      this.#accept(unit, winner)
      return
    }
    const running = unit.holders.length - unit.words.size
    const want = unit.agree - count - running - unit.missing
    if (unit.words.size + Math.max(0, want) > VOICES_MAX) {
      this.#failed += 1
      this.#open.delete(index)
      return
    }
    for (let i = 0; i < want; i++) this.#pool.push(unit)
    unit.missing += Math.max(0, want)
  }

  lost(peer: number, index: number): void {
    const unit = this.#open.get(index)
    if (unit === undefined) return
    unit.holders.splice(unit.holders.indexOf(peer), 1)
    unit.missing += 1
    this.#pool.push(unit)
  }

  finished(): boolean {
    return this.#cursor >= this.#init.units && this.#open.size === 0
  }

  outcome(): Outcome {
    return { accepted: this.#accepted, wrong: this.#wrong, failed: this.#failed, honestLost: 0, caught: 0 }
  }

  #accept(unit: Voted, value: number): void {
    this.#open.delete(unit.index)
    this.#accepted += 1
    if (value !== RIGHT) this.#wrong += 1
    if (unit.words.size > 1) for (const [peer, word] of unit.words) this.#seen(peer, word === value)
  }
}

export const quorum = (agree: number, init: Init): Rule => new VotingRule(init, agree)

/** Ten valid results in a row, then a second copy with probability one in their number; an invalid one starts anew. */
export function boinc(init: Init, warm = 0): Rule {
  const valid = new Float64Array(init.peers).fill(warm)
  return new VotingRule(
    init,
    2,
    (peer) => {
      const n = valid[peer] ?? 0
      return n >= 10 && !init.chance.hit(1 / n)
    },
    (peer, good) => {
      valid[peer] = good ? (valid[peer] ?? 0) + 1 : 0
    },
  )
}

/**
 * Sarmenta's spot-checking: each time a peer asks it gets, with probability `share`, a unit whose answer is known; one
 * wrong answer and the peer is out, and whatever it said before is done again.
 */
export class SpotChecks implements Rule {
  readonly #init: Init
  readonly #share: number
  readonly #values: Int32Array
  readonly #said: number[][]
  readonly #out: Uint8Array
  readonly #spot: Uint8Array
  readonly #again: number[] = []
  #cursor = 0
  #open = 0

  constructor(init: Init, share: number) {
    this.#init = init
    this.#share = share
    this.#values = new Int32Array(init.units).fill(-1)
    this.#said = Array.from({ length: init.peers }, () => [])
    this.#out = new Uint8Array(init.peers)
    this.#spot = new Uint8Array(init.peers)
  }

  next(peer: number): number {
    if (this.#out[peer] === 1) return -1
    const { chance, units } = this.#init
    const isLeft = this.#cursor < units || this.#again.length > 0
    if (!isLeft) return -1
    if (chance.hit(this.#share)) {
      this.#spot[peer] = 1
      return chance.below(units)
    }
    this.#open += 1
    return this.#again.pop() ?? this.#cursor++
  }

  hear(peer: number, unit: number, value: number): void {
    if (this.#spot[peer] === 1) {
      this.#spot[peer] = 0
      if (value === RIGHT) return
      this.#out[peer] = 1
      for (const done of this.#said[peer] ?? []) {
        this.#values[done] = -1
        this.#again.push(done)
      }
      return
    }
    this.#open -= 1
    this.#values[unit] = value
    this.#said[peer]?.push(unit)
  }

  lost(peer: number, unit: number): void {
    if (this.#spot[peer] === 1) {
      this.#spot[peer] = 0
      return
    }
    this.#open -= 1
    this.#again.push(unit)
  }

  finished(): boolean {
    return this.#cursor >= this.#init.units && this.#again.length === 0 && this.#open === 0
  }

  outcome(): Outcome {
    let [accepted, wrong] = [0, 0]
    for (const value of this.#values) {
      if (value >= 0) accepted += 1
      if (value > RIGHT) wrong += 1
    }
    const caught = this.#out.reduce((sum, out) => sum + out, 0)
    return { accepted, wrong, failed: 0, honestLost: 0, caught }
  }
}
