/**
 * Which chunk an asker asks of which holder. Pure: time and chance are passed in.
 *
 * Of what a holder has and nobody was asked for, the rarest of some drawn by lot: what only one peer has is the first to be lost,
 * and the best to have for giving on. When all that is left was asked for, a holder with nothing else to do is asked for what
 * another has owed for `lateMs`.
 */

import { Bitmap } from './bitmap.ts'

const COMPARED_MAX = 16

type Holder = {
  has: Bitmap
  /** Among them those that may be asked of it; others are thrown out when they are met. */
  candidates: number[]
  asked: Set<number>
}
type Ask = { holders: Set<string>; atMs: number }

export class Wants {
  readonly held: Bitmap
  readonly #random: () => number
  readonly #lateMs: number
  readonly #holders = new Map<string, Holder>()
  readonly #asks = new Map<number, Ask>()
  readonly #copies: Uint32Array

  constructor(held: Bitmap, init: { random: () => number; lateMs: number }) {
    this.held = held
    this.#random = init.random
    this.#lateMs = init.lateMs
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
    this.#holders.set(holder, { has: new Bitmap(has.size), candidates: [], asked: new Set() })
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

  /** Counted as asked from now on. */
  next(holder: string, nowMs: number): number | undefined {
    const known = this.#holders.get(holder)
    if (known === undefined) return undefined
    const chunk = this.#rarest(known) ?? this.late(holder, nowMs)
    if (chunk !== undefined) this.asked(holder, chunk, nowMs)
    return chunk
  }

  /** The one owed longest by another, when nothing else is left to ask of this one. */
  late(holder: string, nowMs: number): number | undefined {
    const known = this.#holders.get(holder)
    if (known === undefined || this.#asks.size + this.held.count < this.held.size) return undefined
    let latest: number | undefined
    let atMs = nowMs - this.#lateMs
    for (const [chunk, ask] of this.#asks) {
      if (ask.atMs > atMs || ask.holders.size > 1 || ask.holders.has(holder) || !known.has.has(chunk)) continue
      latest = chunk
      atMs = ask.atMs
    }
    return latest
  }

  /** Whether it was asked of nobody before: the holder may have chosen it. */
  asked(holder: string, chunk: number, nowMs: number): boolean {
    this.#holders.get(holder)?.asked.add(chunk)
    const ask = this.#asks.get(chunk)
    if (ask === undefined) this.#asks.set(chunk, { holders: new Set([holder]), atMs: nowMs })
    else ask.holders.add(holder)
    return ask === undefined
  }

  /** It came, from anybody: those who owe it still need not send it. */
  arrived(chunk: number): string[] {
    this.held.add(chunk)
    const owing = [...(this.#asks.get(chunk)?.holders ?? [])]
    this.#asks.delete(chunk)
    for (const holder of owing) this.#holders.get(holder)?.asked.delete(chunk)
    return owing
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
