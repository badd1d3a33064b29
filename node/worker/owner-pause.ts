/**
 * The owner's pause of this machine: units stop at once and are handed back, and others are told, until the owner resumes or
 * the time given is over. It is kept, so that a machine that was paused does not work after a restart either; its end is
 * kept by this machine's own clock.
 */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

/** Milliseconds of this machine's wall clock. `untilMs` null: until the owner resumes. */
export type Pause = { sinceMs: number; untilMs: number | null }

interface PauseStore {
  read(): Pause | null
  /** @throws E_DISK_FULL */
  keep(pause: Pause | null): void
}

/** A pause as it is told: durations only. */
type PauseFacts = { forMs: number; returnsInMs: number | null }

type Components = {
  store: PauseStore
  wallClock(): number
  /** Stops or goes on with the work, and tells others. */
  onChange(paused: boolean): void
  onError(error: unknown): void
}

export class OwnerPause {
  readonly #components: Components
  #pause: Pause | null
  #timer: NodeJS.Timeout | null = null

  constructor(components: Components) {
    this.#components = components
    this.#pause = components.store.read()
  }

  /** Goes on with a pause from before a restart. */
  start(): void {
    if (this.#pause !== null) this.#components.onChange(true)
    this.#resumeLater()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  facts(): PauseFacts | null {
    if (this.#pause === null) return null
    const { sinceMs, untilMs } = this.#pause
    const now = this.#components.wallClock()
    const left = untilMs === null ? null : Math.min(LIMITS.PAUSE_MAX_MS, Math.max(0, Math.round(untilMs - now)))
    return { forMs: Math.max(0, Math.round(now - sinceMs)), returnsInMs: left }
  }

  /** @throws E_USAGE, and E_DISK_FULL when it cannot be kept: it holds then, but not over a restart */
  pause(forMs: number | null): void {
    if (forMs !== null && forMs > LIMITS.PAUSE_MAX_MS) {
      throw new TalkootError('E_USAGE', 'a pause is 7 days at most; without a duration it lasts until `talkoot resume`')
    }
    const now = this.#components.wallClock()
    const sinceMs = this.#pause?.sinceMs ?? now
    this.#set({ sinceMs, untilMs: forMs === null ? null : now + forMs })
  }

  /** Does nothing to a machine that is not paused. @throws E_DISK_FULL, as `pause` */
  resume(): void {
    if (this.#pause !== null) this.#set(null)
  }

  /** The owner wins: it takes effect whether or not it can be kept. */
  #set(pause: Pause | null): void {
    this.#pause = pause
    this.#components.onChange(pause !== null)
    this.#resumeLater()
    this.#components.store.keep(pause)
  }

  /** The clock may be set while the timer runs: it is asked again. */
  #resumeLater(): void {
    this.stop()
    const left = this.facts()?.returnsInMs ?? null
    if (left === null) return
    this.#timer = setTimeout(() => {
      if ((this.facts()?.returnsInMs ?? 0) > 0) return this.#resumeLater()
      try {
        this.resume()
      } catch (error) {
        this.#components.onError(error)
      }
    }, left)
  }
}
