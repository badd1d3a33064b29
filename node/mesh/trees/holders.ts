/** Whom a tree is to be asked of, and when again: those the caller named, and those they tell of. */

import { backoffMs } from '../../../protocol/backoff.ts'
import type { ErrorCode } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Introduction } from '../introductions.ts'

const RETRY = { firstMs: 250, longestMs: 5_000 }
/** A peer only heard of is forgotten after so many failures. */
const FAILURES_MAX = 6

/** Another try will meet these again: it lied, does not speak the protocol, or does not have it. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  'E_BLOB',
  'E_FRAME',
  'E_FRAME_TOO_BIG',
  'E_FLOOD',
  'E_PROTOCOL_VERSION',
  'E_NOT_FOUND',
])

type Holder = { named: boolean; failures: number; dueAtMs: number; engaged: boolean; refused: ErrorCode | null }

export class Holders {
  readonly #self: string
  readonly #random: () => number
  readonly #known = new Map<string, Holder>()

  constructor(init: { self: string; random: () => number }) {
    this.#self = init.self
    this.#random = init.random
  }

  /** By the caller. What was refused before counts no more: it may have it now. A peer that lied is not asked again. */
  name(peer: string): void {
    const known = this.#known.get(peer)
    if (known === undefined) this.#add(peer, true)
    else known.named = true
    if (known?.refused === 'E_NOT_FOUND') Object.assign(known, { refused: null, dueAtMs: 0 })
  }

  /** By another holder. @returns those not known yet */
  hear(list: readonly Introduction[]): Introduction[] {
    const news = list.filter(({ id }) => id !== this.#self && !this.#known.has(id))
    const room = LIMITS.TREE_HOLDERS_KNOWN_MAX - this.#known.size
    const taken = news.slice(0, Math.max(0, room))
    for (const { id } of taken) this.#add(id, false)
    return taken
  }

  /** Those to ask now, named ones first, so that no more than allowed are asked at once. */
  due(nowMs: number): string[] {
    const all = [...this.#known]
    const room = LIMITS.TREE_HOLDERS_MAX - all.filter(([, { engaged }]) => engaged).length
    return all
      .filter(([, { engaged, refused, dueAtMs }]) => !engaged && refused === null && dueAtMs <= nowMs)
      .sort(([, a], [, b]) => Number(b.named) - Number(a.named))
      .slice(0, Math.max(0, room))
      .map(([peer]) => peer)
  }

  engage(peer: string): void {
    const holder = this.#known.get(peer)
    if (holder !== undefined) holder.engaged = true
  }

  /** @param code why it gave no more; null when it gave something */
  disengage(peer: string, code: ErrorCode | null, nowMs: number): void {
    const holder = this.#known.get(peer)
    if (holder === undefined) return
    holder.engaged = false
    if (code !== null && LASTING.has(code)) holder.refused = code
    holder.failures = code === null ? 0 : holder.failures + 1
    if (!holder.named && holder.failures >= FAILURES_MAX) this.#known.delete(peer)
    const restMs = backoffMs(holder.failures, { ...RETRY, random: this.#random })
    holder.dueAtMs = code === null ? nowMs : nowMs + restMs
  }

  /** Why none is left to ask, if so. */
  hopeless(): ErrorCode | null {
    let why: ErrorCode = 'E_NOT_FOUND'
    for (const { refused } of this.#known.values()) {
      if (refused === null) return null
      why = refused
    }
    return why
  }

  #add(peer: string, named: boolean): void {
    if (peer === this.#self) return
    this.#known.set(peer, { named, failures: 0, dueAtMs: 0, engaged: false, refused: null })
  }
}
