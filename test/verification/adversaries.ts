/**
 * Those who do not tell the truth, and those who are not at fault. A peer answers a unit with a number: 0 is right, any
 * other is wrong and names the wrong value; null: it never answers. Peers made by one call may know of one another.
 */

import type { Chance } from './chance.ts'

export const RIGHT = 0

export type Asked = {
  unit: number
  /** How many results the peer gave before. */
  turn: number
  peer: number
  chance: Chance
}

export type Peer = {
  honest: boolean
  /** Units done while an ordinary peer does one. */
  speed: number
  /** Peers of one operator say the same. */
  operator?: string
  trust?: 'member' | 'stranger'
  /** Told when the peer is given a unit: those who plot may compare. */
  given?: (unit: number, peer: number) => void
  answer: (asked: Asked) => number | null
}

/** Wrong values differ but for chance: two agree with probability `collusion`. */
const wrong = (chance: Chance, collusion: number): number =>
  collusion >= 1 ? 1 : 1 + chance.below(Math.round(1 / collusion))

export const honest = (speed = 1): Peer => ({ honest: true, speed, answer: () => RIGHT })

/** Lies on a share of its units, by the toss of a coin; 1: always. */
export const liar = (rate: number, collusion: number, speed = 1): Peer => ({
  honest: false,
  speed,
  answer: ({ chance }) => (chance.hit(rate) ? wrong(chance, collusion) : RIGHT),
})

/** Right until it has given so many results, then lies on a share of them. */
export const turncoat = (after: number, rate: number, collusion: number): Peer => ({
  honest: false,
  speed: 1,
  answer: ({ turn, chance }) => (turn >= after && chance.hit(rate) ? wrong(chance, collusion) : RIGHT),
})

/** Lies on the units it was paid to spoil: a share of all, the same for every one of its kind. */
export const selective = (share: number): Peer => ({
  honest: false,
  speed: 1,
  answer: ({ unit }) => (mixed(unit) < share ? 1 : RIGHT),
})

/** Computes once, and says what it found then for every other unit. */
export const lazy = (): Peer => ({
  honest: false,
  speed: 3,
  // One value for all units: those that are lazy alike agree, and it is right for none but a few.
  answer: ({ unit, turn }) => (turn === 0 || mixed(unit) < 0.02 ? RIGHT : 1),
})

/** Works well, then takes work and never answers. */
export const refuser = (after: number): Peer => ({
  honest: false,
  speed: 1,
  answer: ({ turn }) => (turn >= after ? null : RIGHT),
})

/** Says something else to each who asks. */
export const equivocator = (): Peer => ({
  honest: false,
  speed: 1,
  answer: ({ peer, turn, chance }) => 1 + chance.below(1_000_000) + peer * 7 + turn,
})

/** A machine whose memory fails now and then: any value, never the same twice. Not at fault, and not to be believed. */
export const broken = (rate: number): Peer => ({
  honest: false,
  speed: 1,
  answer: ({ chance }) => (chance.hit(rate) ? 2 + chance.below(2 ** 30) : RIGHT),
})

/** An honest machine that errs once in a very long while. */
export const glitchy = (rate: number): Peer => ({ ...broken(rate), honest: true })

/**
 * One plot of many peers. They tell each other which units they hold and what they answered, and agree on the wrong
 * value. `boldness`: on a unit none of them has answered, one lies with this probability; on a unit one of them lied on,
 * the rest lie too. With `partners`, they lie only where at least so many of them hold or held the unit: the first of
 * them to speak knows the others are there.
 */
export function colluders(count: number, init: { boldness: number; partners: number; after?: number }): Peer[] {
  const holders = new Map<number, Set<number>>()
  const plots = new Map<number, boolean>()
  const { boldness, partners, after = 0 } = init
  return Array.from({ length: count }, () => ({
    honest: false,
    speed: 1,
    given: (unit, peer) => {
      const known = holders.get(unit)
      if (known === undefined) holders.set(unit, new Set([peer]))
      else known.add(peer)
    },
    answer: ({ unit, turn, chance }) => {
      let lies = plots.get(unit)
      if (lies === undefined) {
        lies = turn >= after && (holders.get(unit)?.size ?? 0) >= partners && chance.hit(boldness)
        plots.set(unit, lies)
      }
      return lies ? 1 : RIGHT
    },
  }))
}

/** One operator behind many names, each new to everybody. They agree on the wrong value for every unit. */
export const sybils = (count: number, rate: number): Peer[] =>
  Array.from({ length: count }, () => ({
    honest: false,
    speed: 1,
    operator: 'sybil',
    answer: ({ unit }) => (mixed(unit) < rate ? 1 : RIGHT),
  }))

/** A number from 0 to 1 that depends on the unit alone. */
function mixed(unit: number): number {
  let h = Math.imul(unit ^ 0x5bd1e995, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}
