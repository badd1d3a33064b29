/** Puts events to the scheduler one after the other, and wakes it when it asks to be. */

import type { SchedulerEffect, SchedulerEvent } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import type { Beside } from './worker-session.ts'

/** One step of the scheduler. */
export type Step = {
  event: SchedulerEvent
  effects: readonly SchedulerEffect[]
  /** What came with the event and is nothing to the scheduler. */
  beside: Beside | undefined
}

type Components = {
  scheduler: Pick<Scheduler, 'step' | 'nextWake'>
  /** Milliseconds, monotonic. */
  now(): number
  onStep(step: Step): void
  /** False: time stands still, and only what happens is worked through. */
  mayWake(): boolean
  onError(error: unknown): void
}

/** The longest a timer can wait; past it Node would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1

export class Stepper {
  readonly #components: Components
  /** Events that came while another was worked through. */
  readonly #events: Pick<Step, 'event' | 'beside'>[] = []
  #stepping = false
  #wake: NodeJS.Timeout | null = null
  #running = false

  constructor(components: Components) {
    this.#components = components
  }

  get running(): boolean {
    return this.#running
  }

  start(): void {
    this.#running = true
  }

  stop(): void {
    this.#running = false
    if (this.#wake !== null) clearTimeout(this.#wake)
  }

  /** One event at a time: what an effect sets off waits until the others of its step are done. */
  step(event: SchedulerEvent, beside?: Beside): void {
    if (!this.#running) return
    this.#events.push({ event, beside })
    if (this.#stepping) return
    this.#stepping = true
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      this.#components.onStep({ ...next, effects: this.#effectsOf(next.event) })
    }
    this.#stepping = false
    this.#wakeLater()
  }

  #effectsOf(event: SchedulerEvent): SchedulerEffect[] {
    const { scheduler, now, onError } = this.#components
    try {
      return scheduler.step(event, now())
    } catch (error) {
      onError(error)
      return []
    }
  }

  #wakeLater(): void {
    const { scheduler, now, mayWake } = this.#components
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#wake = null
    const at = scheduler.nextWake()
    if (at === null || !this.#running || !mayWake()) return
    this.#wake = setTimeout(() => this.step({ type: 'tick' }), Math.min(Math.max(1, at - now()), TIMER_MAX_MS))
  }
}
