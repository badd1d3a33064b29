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

/** Later words that must be confirmed: a liar that lies on some units only passes one check more easily than several. */
const VOUCHERS = 4

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
    const [earliest] = this.#confirmed
    return this.#confirmed.length === VOUCHERS && earliest !== undefined && word < earliest
  }
}
