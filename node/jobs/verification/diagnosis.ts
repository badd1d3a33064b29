/**
 * Why voices differ. Either somebody lies or is broken, or the task does not give the same result twice, or it does so
 * only on machines of one kind. Peers are to be blamed only where it is the first.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import type { Assumptions } from './credit.ts'
import type { JudgedVoice } from './verification.ts'

/** A voice, and what kind of machine it comes from: runtime version, system, architecture. */
export type PlacedVoice = JudgedVoice & { platform: string }

export type Cause =
  /** Results differ from run to run, whoever runs it. */
  | { kind: 'not-repeatable'; unit: number }
  /** Machines of one platform agree with one another and never with those of the other. */
  | { kind: 'platform'; platforms: [string, string] }

/** Hears what peers say of units, until it knows why they differ. */
export interface Diagnosis {
  /** Some differ so far: what they say should be kept, so that somebody can look where. */
  readonly suspects: boolean
  /** `groups`: the voices on a unit by what they agree on; each time a unit has one more. `peers`: how many work for the job. */
  hear(unit: number, groups: readonly (readonly PlacedVoice[])[], peers: () => number): Cause | null
}

/** If the task does not repeat, no two results of a unit agree on this share of units: nearly all, or a good part. */
const DIFFERING = [0.9, 0.3]
/** How much likelier than by liars the disagreements must be: a deterministic job is stopped once in this many units. */
const CERTAINTY = Math.log(1e7)
/** Platforms are told apart after so many units on which two or more of each side said one thing, and the other another. */
const PLATFORM_UNITS = 4

/**
 * Hears every unit with two voices or more. What peers have shown before does not count here, only the share of bad
 * peers in their class: many may turn at one moment. For the same reason a unit with two voices counts once for each
 * pair of peers; three voices of which no two agree cannot be one liar's doing.
 */
export class Repeatability implements Diagnosis {
  readonly #assumed: Assumptions
  /**
   * Sums of log likelihood ratios of units that are over, one for each of DIFFERING. Never below -CERTAINTY, so that
   * a task that ceases to repeat in the midst of a job is found too.
   */
  readonly #sums = DIFFERING.map(() => 0)
  /** Units on which no two voices agree so far, oldest first. */
  readonly #differing = new Map<number, readonly JudgedVoice[]>()
  readonly #platforms = new Map<string, { apart: number; alike: number }>()

  constructor({ assumed }: { assumed: Assumptions }) {
    this.#assumed = assumed
  }

  get suspects(): boolean {
    return this.#differing.size > 0
  }

  hear(unit: number, groups: readonly (readonly PlacedVoice[])[]): Cause | null {
    const voices = groups.flat()
    if (voices.length < 2) return null
    if (groups.length === voices.length) {
      this.#differing.set(unit, voices)
      for (const oldest of this.#differing.keys()) {
        if (this.#differing.size <= LIMITS.DIFFERING_UNITS_KEPT_MAX) break
        this.#differing.delete(oldest)
      }
      return this.#certain() ? { kind: 'not-repeatable', unit } : null
    }
    this.#differing.delete(unit)
    // Some agreed: however many lie, that is so much less likely if the task does not repeat.
    for (const [i, share] of DIFFERING.entries()) {
      this.#sums[i] = Math.max(-CERTAINTY, (this.#sums[i] ?? 0) + Math.log(1 - share))
    }
    return this.#platformOf(groups)
  }

  #certain(): boolean {
    const sums = [...this.#sums]
    const paired = new Set<string>()
    for (const voices of this.#differing.values()) {
      if (voices.length === 2) {
        if (voices.some(({ peer }) => paired.has(peer))) continue
        for (const { peer } of voices) paired.add(peer)
      }
      const byLiars = allDifferent(voices, this.#assumed)
      for (const [i, share] of DIFFERING.entries()) {
        sums[i] = (sums[i] ?? 0) + Math.log((share + (1 - share) * byLiars) / byLiars)
      }
    }
    return sums.some((sum) => sum >= CERTAINTY)
  }

  /** A unit on which some agreed and some did not: does the border run between platforms? */
  #platformOf(groups: readonly (readonly PlacedVoice[])[]): Cause | null {
    const kinds = [...new Set(groups.flat().map(({ platform }) => platform))].sort()
    const [one, other] = kinds
    if (one === undefined || other === undefined || kinds.length !== 2) return null
    const key = `${one} ${other}`
    const known = this.#platforms.get(key) ?? { apart: 0, alike: 0 }
    if (!groups.every((group) => new Set(group.map(({ platform }) => platform)).size === 1)) known.alike += 1
    // One machine that stands alone may as well be the only liar.
    else if (groups.length === 2 && groups.every((group) => group.length >= 2)) known.apart += 1
    this.#platforms.set(key, known)
    return known.alike === 0 && known.apart >= PLATFORM_UNITS ? { kind: 'platform', platforms: [one, other] } : null
  }
}

/** The probability that no two voices agree although the task repeats: at most one of them is good. */
function allDifferent(voices: readonly JudgedVoice[], { bad }: Assumptions): number {
  let [none, one] = [1, 0]
  for (const { trust } of voices) {
    const e = Math.min(Math.max(bad[trust], 0.001), 0.5)
    one = one * e + none * (1 - e)
    none *= e
  }
  return none + one
}

/** A word that was outvoted. */
type WrongWord = {
  unit: number
  value: string
  /** Others that said the same. */
  seconded: number
  /** What the peer said of the same unit when it was asked again; null: it was not. */
  again: string | null
}

type Fault = 'colluding' | 'lazy' | 'broken' | 'lying'

/**
 * What a peer's wrong words look like. One value for several units: it does not compute (lazy). A wrong value that others
 * said too: they plot. Another value when asked again: its errors are random, the machine is broken. Else it lies.
 */
export function faultOf(words: readonly WrongWord[]): Fault | null {
  if (words.length === 0) return null
  const units = new Map<string, number>()
  for (const { value } of words) units.set(value, (units.get(value) ?? 0) + 1)
  if (Math.max(...units.values()) * 2 > words.length && words.length >= 2) return 'lazy'
  const seconded = words.filter((word) => word.seconded > 0).length
  if (seconded * 2 > words.length) return 'colluding'
  const asked = words.filter(({ again }) => again !== null)
  const changed = asked.filter(({ again, value }) => again !== value).length
  return changed * 2 > asked.length ? 'broken' : 'lying'
}
