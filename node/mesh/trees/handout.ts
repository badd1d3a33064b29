/**
 * Which chunk a holder of all of a tree gives to an asker who leaves the choice to it. Pure: time and chance are passed in.
 *
 * First one that no asker has or gets, drawn by lot: so the chunks of the first copy go to different askers, who give them to each
 * other, and the holder uploads little over one copy. When there is none, one that the asker could have had from another for long,
 * the rarest of some: for askers that cannot reach each other, or not fast enough. Long is `patienceMs`, or what so many chunks
 * take from here where everything is slow; and ever longer, the more was given again, for an asker that gets something from others.
 * Words of one asker do not keep a chunk from the others: one that got nothing from here for some times as long gets the rarest.
 */

import type { Bitmap } from './bitmap.ts'

/** Looked at for one choice: of the patient kind there may be 100,000. */
const LOOKED_AT_MAX = 2_048
const COMPARED_MAX = 16

const PATIENCE_CHUNKS = 8
/** An asker that has asked no other for so long has no other; one that nothing was chosen for waits no more. */
const ALONE_PATIENCES = 4
/** With each whole copy given again, patience doubles so many times. */
const DOUBLINGS = 4
/** Of the latest chunk in the mean of how long one takes. */
const WEIGHT = 0.2

type Choice = { chunk: number } | { waitMs: number }

type Asker = {
  has: Bitmap
  cursor: number
  /** When it last asked another for a chunk. */
  elsewhereMs: number
  /** When a chunk was last chosen for it, or it came. */
  servedMs: number
}

export class Handout {
  readonly #random: () => number
  readonly #patienceMs: number
  readonly #askers = new Map<string, Asker>()
  /** Askers that have it or get it, now or when they left. */
  readonly #copies: Uint32Array
  /** When it had last gone to an asker, or was first heard to be at one; without end while it goes. */
  readonly #since: Float64Array
  #chunkMs = 0
  /** Chunks chosen although another had them. */
  #again = 0
  /** Chunks without a copy, and where each of them is in this list. */
  readonly #fresh: number[]
  readonly #freshAt: Int32Array

  constructor(chunks: number, init: { random: () => number; patienceMs: number }) {
    this.#random = init.random
    this.#patienceMs = init.patienceMs
    this.#copies = new Uint32Array(chunks)
    this.#since = new Float64Array(chunks)
    this.#fresh = Array.from({ length: chunks }, (_, chunk) => chunk)
    this.#freshAt = Int32Array.from(this.#fresh)
  }

  /** @param has what it has already; kept, and changed */
  join(asker: string, has: Bitmap, nowMs: number): void {
    const cursor = Math.floor(this.#random() * has.size)
    this.#askers.set(asker, { has, cursor, elsewhereMs: Number.NEGATIVE_INFINITY, servedMs: nowMs })
    for (const chunk of has) this.#copied(chunk, nowMs)
  }

  /** One that has all of it still gives it to the others. */
  leave(asker: string, nowMs: number): void {
    const has = this.#askers.get(asker)?.has
    this.#askers.delete(asker)
    if (has === undefined || has.full) return
    for (const chunk of has) {
      this.#uncopied(chunk)
      // On its way to the one that left, if to anybody.
      if (this.#since[chunk] === Number.POSITIVE_INFINITY) this.#since[chunk] = nowMs
    }
  }

  /** The asker has asked another for it. */
  taken(asker: string, chunk: number, nowMs: number): void {
    const known = this.#askers.get(asker)
    if (known === undefined) return
    known.elsewhereMs = nowMs
    if (known.has.add(chunk)) this.#copied(chunk, nowMs)
  }

  lost(asker: string, chunk: number): void {
    if (this.#askers.get(asker)?.has.delete(chunk)) this.#uncopied(chunk)
  }

  /** Counted as a copy at the asker from now on. Null: the asker has everything. */
  choose(asker: string, nowMs: number): Choice | null {
    const known = this.#askers.get(asker)
    if (known === undefined || known.has.full) return null
    const fresh = this.#fresh[Math.floor(this.#random() * this.#fresh.length)]
    const choice = fresh === undefined ? this.#rarest(known, nowMs) : { chunk: fresh }
    if ('chunk' in choice) {
      if (fresh === undefined) this.#again += 1
      if (known.has.add(choice.chunk)) this.#copied(choice.chunk, nowMs)
      known.servedMs = nowMs
      this.#since[choice.chunk] = Number.POSITIVE_INFINITY
    }
    return choice
  }

  /** The asker has what was chosen for it. */
  given(chunk: number, nowMs: number, tookMs: number): void {
    this.#since[chunk] = nowMs
    this.#chunkMs += (tookMs - this.#chunkMs) * WEIGHT
  }

  #rarest(asker: Asker, nowMs: number): Choice {
    const { size } = asker.has
    let best: number | undefined
    let compared = 0
    const patienceMs = this.#patience(asker, nowMs)
    const starved = nowMs - asker.servedMs > ALONE_PATIENCES * patienceMs
    let waitMs = this.#patienceMs
    for (let looked = 0; looked < Math.min(size, LOOKED_AT_MAX) && compared < COMPARED_MAX; looked++) {
      const chunk = asker.cursor
      asker.cursor = (asker.cursor + 1) % size
      if (asker.has.has(chunk)) continue
      const due = (this.#since[chunk] ?? 0) + patienceMs - nowMs
      if (due > 0 && !starved) {
        waitMs = Math.min(waitMs, due)
      } else {
        compared += 1
        if (best === undefined || (this.#copies[chunk] ?? 0) < (this.#copies[best] ?? 0)) best = chunk
      }
    }
    return best === undefined ? { waitMs } : { chunk: best }
  }

  #patience({ has, elsewhereMs }: Asker, nowMs: number): number {
    const leastMs = Math.max(this.#patienceMs, PATIENCE_CHUNKS * this.#chunkMs)
    return nowMs - elsewhereMs > ALONE_PATIENCES * leastMs
      ? leastMs
      : leastMs * 2 ** ((DOUBLINGS * this.#again) / has.size)
  }

  #copied(chunk: number, nowMs: number): void {
    const copies = this.#copies[chunk] ?? 0
    this.#copies[chunk] = copies + 1
    if (copies > 0) return
    // What an asker says it lost and has again is no younger for it.
    if (this.#since[chunk] === 0) this.#since[chunk] = nowMs
    const at = this.#freshAt[chunk] ?? -1
    const last = this.#fresh.pop()
    if (last === undefined || last === chunk) return
    this.#fresh[at] = last
    this.#freshAt[last] = at
  }

  #uncopied(chunk: number): void {
    const copies = (this.#copies[chunk] ?? 1) - 1
    this.#copies[chunk] = copies
    if (copies > 0) return
    this.#freshAt[chunk] = this.#fresh.length
    this.#fresh.push(chunk)
  }
}
