/**
 * Whether a task repeats, for jobs with a quorum, where nobody states how many peers lie. If it does, of two that say
 * different things of one unit one is wrong: of those that all differed from one another at most one tells the truth. When
 * that leaves fewer than half of the peers, and no two agreed on anything meanwhile, it is the task that differs.
 */

import type { Cause, Diagnosis, PlacedVoice } from './diagnosis.ts'

/** Units one after the other on which no two agree: honest machines err now and then as well. */
const IN_A_ROW = 12
/** Of a handful of peers, three may well be wrong for a while: when the others are away. */
const WRONG_MIN = 4
/** It is worked out again when so many pairs more have differed, by the number of peers: they can hardly be fewer than half of it. */
const LOOK_AGAIN = 1 / 16

/** Never stops a job whose task repeats while half of its peers or more tell the truth, whatever the others say and how fast. */
export class NeverAgreeing implements Diagnosis {
  /** Units on which no two voices agree, since any two last did; IN_A_ROW at most. */
  readonly #units = new Set<number>()
  /** By peer, those it differed from since then. */
  readonly #differed = new Map<string, Set<string>>()
  #pairs = 0
  #lookAt = 0

  get suspects(): boolean {
    return this.#units.size > 0
  }

  hear(unit: number, groups: readonly (readonly PlacedVoice[])[], peers: () => number): Cause | null {
    const voices = groups.flat().map(({ peer }) => peer)
    if (voices.length < 2) return null
    if (groups.length < voices.length) {
      this.#units.clear()
      this.#differed.clear()
      this.#pairs = 0
      this.#lookAt = 0
      return null
    }
    if (this.#units.size < IN_A_ROW) this.#units.add(unit)
    for (const peer of voices) this.#note(peer, voices)
    if (this.#units.size < IN_A_ROW || this.#pairs < this.#lookAt || !areShown(groups)) return null
    const count = peers()
    this.#lookAt = this.#pairs + count * LOOK_AGAIN
    return this.#wrongAtLeast() >= tooMany(count) ? { kind: 'not-repeatable', unit } : null
  }

  #note(peer: string, voices: readonly string[]): void {
    const known = this.#differed.get(peer) ?? new Set()
    this.#differed.set(peer, known)
    for (const other of voices) {
      if (other === peer || known.has(other)) continue
      known.add(other)
      this.#pairs += 1 / 2
    }
  }

  /** Each peer joins the first circle in which it differed from everybody: all but one of a circle are wrong. */
  #wrongAtLeast(): number {
    const circles: string[][] = []
    // Who differed from few has the fewest circles to join.
    const sorted = [...this.#differed].sort(([, a], [, b]) => a.size - b.size)
    for (const [peer, differed] of sorted) {
      const circle = circles.find((members) => members.every((member) => differed.has(member)))
      if (circle === undefined) circles.push([peer])
      else circle.push(peer)
    }
    return this.#differed.size - circles.length
  }
}

const tooMany = (peers: number): number => Math.max(Math.floor(peers / 2) + 1, Math.min(WRONG_MIN, peers - 1))

/** Of exact values only the digest is kept while nothing is suspected: another unit must do to show where they differ. */
const areShown = (groups: readonly (readonly PlacedVoice[])[]): boolean =>
  groups.filter(([voice]) => voice?.said.ok && voice.said.value !== '').length >= 2
