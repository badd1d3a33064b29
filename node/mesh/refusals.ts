/** Who was refused, by whom and why: kept for `status` and `doctor`, counted, bounded. */

import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

export type Refusal = {
  /** Text of the other side's peer id. */
  peer: string
  address: string
  code: ErrorCode
  message: string
  /** `ours`: this node refused the peer; `theirs`: the peer refused this node. */
  by: 'ours' | 'theirs'
  count: number
  /** When it last happened, milliseconds since 1970 by this node's clock. */
  at: number
}

const GUESS_WINDOW_MS = 60_000

export class Refusals {
  readonly #entries = new Map<string, Refusal>()
  readonly #guesses = new Map<string, number[]>()
  /** Until when, by the monotonic clock; the first to end first. */
  readonly #barred = new Map<string, number>()
  readonly #now: () => number

  constructor({ now = () => performance.now() }: { now?: () => number } = {}) {
    this.#now = now
  }

  add(refusal: Omit<Refusal, 'count' | 'at'>): void {
    const key = `${refusal.by} ${refusal.peer} ${refusal.code}`
    const count = (this.#entries.get(key)?.count ?? 0) + 1
    this.#entries.delete(key)
    this.#entries.set(key, { ...refusal, count, at: Date.now() })
    trimOldest(this.#entries)
    if (refusal.by === 'ours' && refusal.code === 'E_FLOOD') this.#bar(refusal.peer)
  }

  /** Whether it flooded this node a short while ago: it would find its allowances full again on a new connection. */
  isBarred(peer: string): boolean {
    return (this.#barred.get(peer) ?? 0) > this.#now()
  }

  /** Most recent first. */
  list(): Refusal[] {
    return [...this.#entries.values()].reverse()
  }

  latest(peer: string): Refusal | undefined {
    return this.list().find((refusal) => refusal.peer === peer)
  }

  /** Counts a wrong token secret against the host it came from. */
  addGuess(host: string): void {
    const recent = this.#recentGuesses(host)
    recent.push(performance.now())
    this.#guesses.delete(host)
    this.#guesses.set(host, recent)
    trimOldest(this.#guesses)
  }

  mayGuess(host: string): boolean {
    return this.#recentGuesses(host).length < LIMITS.TOKEN_GUESSES_PER_MINUTE
  }

  /** Refused meanwhile, it is not refused for longer. */
  #bar(peer: string): void {
    const now = this.#now()
    for (const [other, until] of this.#barred) {
      if (until > now) break
      this.#barred.delete(other)
    }
    if (!this.#barred.has(peer)) this.#barred.set(peer, now + LIMITS.FLOOD_REFUSED_MS)
  }

  #recentGuesses(host: string): number[] {
    const since = performance.now() - GUESS_WINDOW_MS
    return (this.#guesses.get(host) ?? []).filter((at) => at > since)
  }
}

function trimOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys()
  if (map.size > LIMITS.REFUSALS_KEPT_MAX && oldest !== undefined) map.delete(oldest)
}
