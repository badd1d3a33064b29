/**
 * The last state of each unit of one submitter that saved one: for the submitter, at intervals and when the unit is given
 * back, and for the unit itself when it begins here. Any may be lost at any time: its unit then does more work again.
 */

import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { UnitInput } from '../runtimes/runtime.ts'

type Entry = {
  job: JobId
  unit: number
  state: Uint8Array
  /** The submitter does not have it. */
  isNew: boolean
  sentAt: number
}

type Components = {
  /** Milliseconds, monotonic. */
  now(): number
  /** Never rejects. */
  send(job: JobId, unit: number, state: Uint8Array): Promise<void>
}

/** What one takes beside its bytes. */
const ENTRY_BYTES = 1_024

export class Checkpoints {
  readonly #components: Components
  /** Longest unchanged first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  #connected = false
  #timer: NodeJS.Timeout | null = null
  #sending = false
  /** No sooner is another sent: what was sent before takes its time. */
  #sendAt = Number.NEGATIVE_INFINITY

  constructor(components: Components) {
    this.#components = components
  }

  /** Whether there is a submitter to send to. */
  connect(connected: boolean): void {
    this.#connected = connected
    this.#sendLater()
  }

  /** From the submitter, of a unit that will run here. */
  keep(job: JobId, unit: number, state: Uint8Array): void {
    // Its own memory: what came may be a part of a larger frame.
    this.#set({ job, unit, state: new Uint8Array(state), isNew: false, sentAt: Number.NEGATIVE_INFINITY })
  }

  /** From the unit, which runs here. */
  save(job: JobId, unit: number, state: Uint8Array): void {
    const { sentAt = Number.NEGATIVE_INFINITY } = this.#entries.get(keyOf(job, unit)) ?? {}
    this.#set({ job, unit, state, isNew: true, sentAt })
    this.#sendLater()
  }

  /** Each of the units with its last state, if it has one. */
  withThose(job: JobId, units: UnitInput[]): UnitInput[] {
    if (this.#entries.size === 0) return units
    return units.map((input) => {
      const entry = this.#entries.get(keyOf(job, input.unit))
      return entry === undefined ? input : { ...input, resumed: entry.state }
    })
  }

  /** Sends at once what the submitter does not have of these. */
  async flush(job: JobId, units: readonly number[]): Promise<void> {
    if (this.#entries.size === 0 || !this.#connected) return
    const unsent = units.map((unit) => this.#entries.get(keyOf(job, unit))).filter((entry) => entry?.isNew === true)
    await Promise.all(unsent.map((entry) => entry && this.#send(entry)))
  }

  drop(job: JobId, units: readonly number[]): void {
    if (this.#entries.size === 0) return
    for (const unit of units) this.#delete(keyOf(job, unit))
  }

  forget(job: JobId): void {
    for (const [key, entry] of this.#entries) if (entry.job === job) this.#delete(key)
  }

  stop(): void {
    this.#entries.clear()
    this.#bytes = 0
    this.connect(false)
  }

  #set(entry: Entry): void {
    const key = keyOf(entry.job, entry.unit)
    this.#delete(key)
    this.#entries.set(key, entry)
    this.#bytes += entry.state.length + ENTRY_BYTES
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= LIMITS.WORKER_CHECKPOINTS_MAX_BYTES) break
      this.#delete(oldest)
    }
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.state.length + ENTRY_BYTES
  }

  /** When the next is due. */
  #sendLater(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const next = this.#next()
    if (next === null || !this.#connected || this.#sending) return
    const at = Math.max(this.#sendAt, next.sentAt + LIMITS.CHECKPOINT_INTERVAL_MS)
    this.#timer = setTimeout(() => this.#sendNext(), Math.max(0, at - this.#components.now()))
  }

  async #sendNext(): Promise<void> {
    const next = this.#next()
    if (next === null) return
    this.#sendAt = this.#components.now() + (next.state.length * 1_000) / LIMITS.CHECKPOINTS_PER_SECOND_BYTES
    // One at a time: a submitter that does not read is sent no more.
    this.#sending = true
    await this.#send(next)
    this.#sending = false
    this.#sendLater()
  }

  /** Of those the submitter does not have, the one whose last was sent longest ago. */
  #next(): Entry | null {
    let next: Entry | null = null
    for (const entry of this.#entries.values()) {
      if (entry.isNew && (next === null || entry.sentAt < next.sentAt)) next = entry
    }
    return next
  }

  async #send(entry: Entry): Promise<void> {
    entry.isNew = false
    entry.sentAt = this.#components.now()
    await this.#components.send(entry.job, entry.unit, entry.state)
  }
}

const keyOf = (job: JobId, unit: number): string => `${job} ${unit}`
