/**
 * Which chunk an asker asks of which holder. Pure: time and chance are passed in.
 *
 * Of what a holder has and nobody was asked for, the rarest of some drawn by lot: what only one peer has is the first to be lost,
 * and the best to have for giving on. When all that is left was asked for, a holder with nothing else to do is asked for what
 * another has owed for `lateMs`. A slow holder is asked for fewer at once, so that it owes none for long.
 */

import { Bitmap } from './bitmap.ts'

const COMPARED_MAX = 16

/** How many chunks are asked of a holder whose speed is not known. */
const FIRST_ASKS = 2
/** Owed for so many times what one takes, it is late however slow its holder is. */
const LATE_CHUNKS = 4
/** Of the latest chunk in the mean of how long one takes. */
const WEIGHT = 0.3

type Holder = {
  has: Bitmap
  /** Among them those that may be asked of it; others are thrown out when they are met. */
  candidates: number[]
  asked: Set<number>
  /** Of one chunk after another; null before the first. */
  chunkMs: number | null
  /** When the latest came, or was asked for when nothing was owed. */
  sinceMs: number
}
type Ask = { holders: Set<string>; atMs: number }

export class Wants {
  readonly held: Bitmap
  readonly #random: () => number
  readonly #lateMs: number
  readonly #asksMax: number
  readonly #holders = new Map<string, Holder>()
  readonly #asks = new Map<number, Ask>()
  readonly #copies: Uint32Array

  constructor(held: Bitmap, init: { random: () => number; lateMs: number; asksMax: number }) {
    this.held = held
    this.#random = init.random
    this.#lateMs = init.lateMs
    this.#asksMax = init.asksMax
    this.#copies = new Uint32Array(held.size)
  }

  /** Held, or asked of somebody. */
  taken(): Bitmap {
    const taken = Bitmap.of(this.held.size, this.held.bytes) ?? new Bitmap(this.held.size)
    for (const chunk of this.#asks.keys()) taken.add(chunk)
    return taken
  }

  join(holder: string, has: Bitmap): void {
    this.leave(holder)
    const nothing = { has: new Bitmap(has.size), candidates: [], asked: new Set<number>(), chunkMs: null, sinceMs: 0 }
    this.#holders.set(holder, nothing)
    for (const chunk of has) this.gained(holder, chunk)
  }

  /** What was asked of it and nobody else, and is to be asked again. */
  leave(holder: string): number[] {
    const known = this.#holders.get(holder)
    if (known === undefined) return []
    this.#holders.delete(holder)
    for (const chunk of known.has) this.#copies[chunk] = (this.#copies[chunk] ?? 1) - 1
    return [...known.asked].filter((chunk) => this.#unask(holder, chunk))
  }

  gained(holder: string, chunk: number): void {
    const known = this.#holders.get(holder)
    if (known === undefined || !known.has.add(chunk)) return
    this.#copies[chunk] = (this.#copies[chunk] ?? 0) + 1
    if (!this.held.has(chunk)) known.candidates.push(chunk)
  }

  /** It is not there after all. True when it is to be asked of another. */
  gone(holder: string, chunk: number): boolean {
    const known = this.#holders.get(holder)
    if (known?.has.delete(chunk)) this.#copies[chunk] = (this.#copies[chunk] ?? 1) - 1
    known?.asked.delete(chunk)
    return this.#unask(holder, chunk)
  }

  /**
   * Counted as asked from now on.
   * @param chooses the holder chooses by itself, but for what others are late with
   */
  next(holder: string, nowMs: number, { chooses }: { chooses: boolean }): number | undefined {
    const known = this.#holders.get(holder)
    if (known === undefined || known.asked.size >= this.#room(known)) return undefined
    const chunk = (chooses ? undefined : this.#rarest(known)) ?? this.#late(holder, known, nowMs)
    if (chunk !== undefined) this.asked(holder, chunk, nowMs)
    return chunk
  }

  /** Counted as asked of it: also what the holder chose. */
  asked(holder: string, chunk: number, nowMs: number): void {
    const known = this.#holders.get(holder)
    if (known?.asked.size === 0) known.sinceMs = nowMs
    known?.asked.add(chunk)
    const ask = this.#asks.get(chunk)
    if (ask === undefined) this.#asks.set(chunk, { holders: new Set([holder]), atMs: nowMs })
    else ask.holders.add(holder)
  }

  /** @returns others who owe it still, and need not send it; they are not counted as owing it */
  arrived(from: string, chunk: number, nowMs: number): string[] {
    this.held.add(chunk)
    const owing = [...(this.#asks.get(chunk)?.holders ?? [])]
    this.#asks.delete(chunk)
    for (const holder of owing) this.#holders.get(holder)?.asked.delete(chunk)
    const known = this.#holders.get(from)
    if (known !== undefined) {
      const tookMs = nowMs - known.sinceMs
      known.chunkMs = known.chunkMs === null ? tookMs : known.chunkMs + (tookMs - known.chunkMs) * WEIGHT
      known.sinceMs = nowMs
    }
    return owing.filter((holder) => holder !== from)
  }

  /** What it may owe at once: as much as it gives in half the time after which it would be late. */
  #room({ chunkMs }: Holder): number {
    if (chunkMs === null) return FIRST_ASKS
    return Math.max(1, Math.min(this.#asksMax, Math.round(this.#lateMs / 2 / chunkMs)))
  }

  /**
   * The one owed longest by another, when nothing else is left to ask for; not what one as slow as this gives at its own pace: where all
   * are slow, they would send everything twice.
   */
  #late(holder: string, { has, chunkMs }: Holder, nowMs: number): number | undefined {
    if (this.#asks.size + this.held.count < this.held.size) return undefined
    let latest: number | undefined
    let atMs = nowMs - this.#lateMs
    for (const [chunk, ask] of this.#asks) {
      if (ask.atMs > atMs || ask.holders.size > 1 || ask.holders.has(holder) || !has.has(chunk)) continue
      const [owing = ''] = ask.holders
      const paceMs = this.#holders.get(owing)?.chunkMs ?? 0
      if (2 * (chunkMs ?? 0) > paceMs && nowMs - ask.atMs < LATE_CHUNKS * paceMs) continue
      latest = chunk
      atMs = ask.atMs
    }
    return latest
  }

  #rarest({ candidates }: Holder): number | undefined {
    let best: number | undefined
    for (let compared = 0; compared < COMPARED_MAX && candidates.length > 0; ) {
      const at = Math.floor(this.#random() * candidates.length)
      const chunk = candidates[at]
      if (chunk === undefined) break
      if (this.held.has(chunk) || this.#asks.has(chunk)) {
        candidates[at] = candidates[candidates.length - 1] ?? chunk
        candidates.pop()
        continue
      }
      compared += 1
      if (best === undefined || (this.#copies[chunk] ?? 0) < (this.#copies[best] ?? 0)) best = chunk
    }
    return best
  }

  /** True when now nobody is asked for it: whoever has it may be again. */
  #unask(holder: string, chunk: number): boolean {
    const ask = this.#asks.get(chunk)
    if (!ask?.holders.delete(holder) || ask.holders.size > 0) return false
    this.#asks.delete(chunk)
    for (const { has, candidates } of this.#holders.values()) if (has.has(chunk)) candidates.push(chunk)
    return true
  }
}
