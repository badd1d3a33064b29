/** States that units save while they run: what they hold, and the checker's own account of which a unit may go on from. */

import { LIMITS } from '../../protocol/limits.ts'
import type { Policy } from '../../protocol/manifest.ts'

/** How much of a unit is done, by all that worked on it so far. */
export type State = { unit: number; done: number; by: string[] }

export const encodeState = (state: State): Uint8Array => Buffer.from(JSON.stringify(state))
export const decodeState = (bytes: Uint8Array): State => JSON.parse(Buffer.from(bytes).toString())

/** What no peer may send. */
export const TOO_LARGE = new Uint8Array(LIMITS.UNIT_CHECKPOINT_MAX_BYTES + 1)

export class SavedStates {
  readonly #isChecked: boolean
  readonly #last = new Map<string, State>()

  constructor({ verify }: Policy) {
    this.#isChecked = verify.kind !== 'none'
  }

  saved(unit: number, peer: string, bytes: Uint8Array): void {
    if (bytes !== TOO_LARGE) this.#last.set(this.#keyOf(unit, peer), decodeState(bytes))
  }

  /** The next attempt does not go on from what one saved that has ended. */
  ended(unit: number, peer: string): void {
    this.#last.delete(this.#keyOf(unit, peer))
  }

  restarted(): void {
    this.#last.clear()
  }

  /** What is wrong with giving the unit with this state; null: nothing. */
  faultOf(unit: number, peer: string, bytes: Uint8Array | undefined): string | null {
    const last = this.#last.get(this.#keyOf(unit, peer))
    if (bytes === undefined) return last === undefined ? null : 'nothing of what it saved'
    if (bytes.length > LIMITS.UNIT_CHECKPOINT_MAX_BYTES) return 'a state that is too large'
    const state = decodeState(bytes)
    if (state.unit !== unit) return `a state of unit ${state.unit}`
    if (this.#isChecked && state.by.some((one) => one !== peer)) return `what ${state.by} saved`
    return JSON.stringify(state) === JSON.stringify(last) ? null : 'a state that is not its last'
  }

  #keyOf(unit: number, peer: string): string {
    return this.#isChecked ? `${unit} ${peer}` : String(unit)
  }
}
