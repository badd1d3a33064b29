/** Which units are checked by a second peer whatever the first is worth, and for which words a check speaks. */

import { createHmac } from 'node:crypto'

/**
 * Marks a share of all units, the same at every call, after a restart, and at stewards that know the key. `key`: 16 random
 * bytes or more, drawn for each job and told to no worker: who knew which units are checked could lie on the others.
 */
export function checkedUnits(key: Uint8Array, share: number): (unit: number) => boolean {
  return (unit) => createHmac('sha256', key).update(`${unit}`).digest().readUInt32BE() < share * 2 ** 32
}

/**
 * Which of the units accepted on a peer's word alone since it was last checked is checked before the job ends; null:
 * none. The longer the run the likelier, certain from 1 / share on: so who turns at the end is found, and short jobs do
 * not pay for it. `draw`: from 0 to 1.
 */
export function closingCheck(unchecked: readonly number[], share: number, draw: () => number): number | null {
  if (draw() >= unchecked.length * share) return null
  return unchecked[Math.floor(draw() * unchecked.length)] ?? null
}

/** No more than this share of a peer's results may be lies that were accepted before it is caught ... */
const CHEATED_MAX = 0.05
/** ... but for three cheaters in a thousand. */
const CHEATERS_MISSED = 0.003
/** What would take more checks than this share of the words that wait is not attempted. */
const CLOSING_SHARE_MAX = 0.15

/** Of those that wait on one peer's word, oldest first: checks it survived since the first, how many it gave after the last of these. */
export type Waiting = { units: readonly number[]; confirmed: number; unchecked: number }

/**
 * Which of the units that wait on one peer's word are checked before all of them are accepted. So many that, had it lied
 * on more of them than 5% of its `results`, a check would have shown it, those survived since among them; a check counts
 * for who is checked and for who checks. Where that is too much for a short job: one or none, as for what was accepted.
 */
export function closingChecks(
  { units, confirmed, unchecked }: Waiting,
  results: number,
  share: number,
  draw: () => number,
): number[] {
  const wanted = closingCount(units.length, confirmed, results)
  if (wanted === null) {
    const unit = closingCheck(units.slice(units.length - unchecked), share, draw)
    return unit === null ? [] : [unit]
  }
  const left = [...units]
  return Array.from({ length: wanted }, () => left.splice(Math.floor(draw() * left.length), 1)).flat()
}

/** Null: one or none. */
function closingCount(waiting: number, confirmed: number, results: number): number | null {
  const rate = (CHEATED_MAX * results) / waiting
  const wanted = rate >= 1 ? 0 : Math.log(CHEATERS_MISSED) / Math.log1p(-rate) - confirmed
  return wanted <= 0 || wanted > CLOSING_SHARE_MAX * waiting ? null : Math.ceil(wanted / 2)
}

/** Later words that must be confirmed: a liar that lies on some units only passes one check more easily than many. */
const VOUCHERS = 24

/** Which words of a peer are vouched for: many are under way at once, and a check of one says nothing of those after it. */
export class Vouchers {
  /** The latest confirmed, ascending. */
  readonly #confirmed: number[] = []

  /** `word`: which of the peer's words was confirmed; they are counted as they come. */
  note(word: number): void {
    this.#confirmed.push(word)
    this.#confirmed.sort((a, b) => a - b)
    if (this.#confirmed.length > VOUCHERS) this.#confirmed.shift()
  }

  vouchFor(word: number): boolean {
    return this.after(word) === VOUCHERS
  }

  /** Words after this one that were confirmed, as far as they are counted. */
  after(word: number): number {
    const first = this.#confirmed.findIndex((later) => later > word)
    return first < 0 ? 0 : this.#confirmed.length - first
  }
}

/** Deviations of a normal distribution that stand for a fifth of it each. */
const FIFTHS = [-1.28, -0.52, 0, 0.52, 1.28]

/**
 * How many checks there will be on one honest peer before its job ends. Of its `results` it gives the last `alone` when
 * it is believed alone, and is newly believed until it has survived so many checks more.
 */
export function expectedLastChecks(
  { results, alone, newly }: { results: number; alone: number; newly: number },
  share: number,
): number {
  // A check confirms a word of two peers.
  const confirmedRate = (2 * share) / (1 + share)
  const last = FIFTHS.map((deviation) => {
    const vouched = (VOUCHERS + deviation * Math.sqrt(VOUCHERS)) / confirmedRate
    const from = Math.max(0, alone - vouched)
    const waiting = (Math.min(alone, newly / confirmedRate) - from) * (1 - confirmedRate)
    const confirmed = Math.min(VOUCHERS - 1, (alone - from) * confirmedRate)
    const count = waiting < 1 ? null : closingCount(waiting, confirmed, results)
    return count ?? oneOrNone(alone, share, confirmedRate)
  })
  return last.reduce((sum, count) => sum + count, 0) / FIFTHS.length
}

/** `closingCheck` of the words given since one was confirmed last, of `alone`: what is expected of min(1, words x share). */
function oneOrNone(alone: number, share: number, confirmedRate: number): number {
  const unconfirmed = 1 - confirmedRate
  const longest = Math.min(alone, 1 / share)
  return (share * unconfirmed * (1 - unconfirmed ** longest)) / confirmedRate
}
