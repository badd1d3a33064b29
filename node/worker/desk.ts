/** What one submitter has on this worker: its jobs, its queued units, and the way back for results. */

import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId, Policy } from '../../protocol/manifest.ts'
import type { Attempt, ToSubmitter, ToWorker } from '../../protocol/work.ts'
import { toWorkerSchema } from '../../protocol/work.ts'
import type { Channel } from '../mesh/mesh.ts'
import type { UnitInput } from '../runtimes/runtime.ts'
import type { Outbox } from './outbox.ts'

/** A job whose manifest was checked and whose task is here. */
export type AdmittedJob = { id: JobId; source: string; policy: Policy }

type JobEntry = { admitted: AdmittedJob | null; queue: UnitInput[]; running: Set<number>; abort: AbortController }

type Components = {
  outbox: Outbox
  /** Checks a job and fetches its task. @throws coded, to be told to the submitter */
  admit(message: Extract<ToWorker, { t: 'job' }>, signal: AbortSignal): Promise<AdmittedJob>
  /** Called when units may have become ready to run. */
  onReady(): void
  onError(error: unknown): void
}

export class Desk {
  readonly submitter: string
  readonly #components: Components
  readonly #jobs = new Map<JobId, JobEntry>()
  #channel: Channel | null = null

  constructor(components: Components, init: { submitter: string }) {
    this.#components = components
    this.submitter = init.submitter
  }

  /** Serves one connection until it ends; a newer one takes over from an older. */
  async serve(channel: Channel): Promise<void> {
    this.#channel = channel
    this.#components.outbox.connect(channel)
    try {
      for await (const frame of channel) this.#take(decodeFrame(toWorkerSchema, frame))
    } catch (thrown) {
      const error = TalkootError.from(thrown, 'E_FRAME')
      channel.abort(error.code, error.message)
    } finally {
      if (this.#channel === channel) this.#disconnected()
    }
  }

  get connected(): boolean {
    return this.#channel !== null
  }

  queued(): number {
    let units = 0
    for (const entry of this.#jobs.values()) units += entry.queue.length
    return units
  }

  running(): number {
    let units = 0
    for (const entry of this.#jobs.values()) units += entry.running.size
    return units
  }

  /** Jobs with units that could run now. */
  *ready(): Iterable<AdmittedJob> {
    for (const { admitted, queue } of this.#jobs.values()) if (admitted !== null && queue.length > 0) yield admitted
  }

  knows(job: AdmittedJob): boolean {
    return this.#jobs.get(job.id)?.admitted === job
  }

  /** Takes up to `count` units to run; `signal` aborts when none of them is wanted any more. */
  take(job: JobId, count: number): { units: UnitInput[]; signal: AbortSignal } | null {
    const entry = this.#jobs.get(job)
    if (entry === undefined || entry.queue.length === 0) return null
    const units = entry.queue.splice(0, count)
    for (const { unit } of units) entry.running.add(unit)
    return { units, signal: entry.abort.signal }
  }

  /** Hands in the ends of attempts that `take` gave out. */
  finish(job: JobId, attempts: readonly Attempt[]): void {
    const entry = this.#jobs.get(job)
    for (const attempt of attempts) entry?.running.delete(attempt.unit)
    if (entry !== undefined) this.#components.outbox.add(job, attempts)
  }

  /** Units that were stopped because nobody wants them any more. */
  drop(job: JobId, units: readonly number[]): void {
    const entry = this.#jobs.get(job)
    for (const unit of units) entry?.running.delete(unit)
  }

  /** Gives units back unrun, with the reason. */
  handBack(job: JobId, units: readonly number[], code: string): void {
    this.drop(job, units)
    if (units.length > 0) this.#tell({ t: 'handback', job, units: [...units], code })
  }

  /** The sign of life. */
  beat(slots: number): void {
    this.#tell({ t: 'beat', slots, queued: this.queued(), running: this.running() })
  }

  /** Gives everything back and ends. */
  close(code: string): void {
    for (const [job, entry] of this.#jobs) {
      this.handBack(job, [...entry.running, ...entry.queue.map(({ unit }) => unit)], code)
      this.#forget(job)
    }
    this.#components.outbox.stop()
    this.#channel?.close().catch(this.#components.onError)
    this.#channel = null
  }

  #take(message: ToWorker): void {
    switch (message.t) {
      case 'job':
        this.#introduce(message).catch(this.#components.onError)
        break
      case 'run':
        this.#enqueue(message.job, message.units)
        break
      case 'revoke':
        this.#revoke(message.job, message.units)
        break
    }
  }

  async #introduce(message: Extract<ToWorker, { t: 'job' }>): Promise<void> {
    const { job } = message
    const known = this.#jobs.get(job)
    if (known !== undefined) {
      if (known.admitted !== null) this.#tell({ t: 'accept', job })
      return
    }
    if (this.#jobs.size >= LIMITS.JOBS_PER_DESK_MAX)
      return this.#refuse(job, new TalkootError('E_BUSY', 'too many jobs at once'))
    const entry: JobEntry = { admitted: null, queue: [], running: new Set(), abort: new AbortController() }
    this.#jobs.set(job, entry)
    try {
      entry.admitted = await this.#components.admit(message, entry.abort.signal)
    } catch (thrown) {
      this.#forget(job)
      return this.#refuse(job, TalkootError.from(thrown))
    }
    if (this.#jobs.get(job) !== entry) return
    this.#tell({ t: 'accept', job })
    this.#components.onReady()
  }

  #refuse(job: JobId, error: TalkootError): void {
    const passing = error.code === 'E_BUSY' || error.code === 'E_UNREACHABLE' || error.code === 'E_BLOB'
    const message = error.message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
    this.#tell({ t: 'refuse', job, code: error.code, message, retryAfterMs: passing ? LIMITS.BUSY_RETRY_MS : null })
  }

  #enqueue(job: JobId, units: readonly [number, string][]): void {
    const entry = this.#jobs.get(job)
    const numbers = units.map(([unit]) => unit)
    const full = this.queued() + units.length > LIMITS.WORKER_QUEUE_UNITS_MAX
    if (entry === undefined || full) {
      this.handBack(job, numbers, full ? 'E_BUSY' : 'E_NOT_FOUND')
      return
    }
    for (const [unit, params] of units) entry.queue.push({ unit, params })
    if (entry.admitted !== null) this.#components.onReady()
  }

  #revoke(job: JobId, units: readonly number[] | null): void {
    const entry = this.#jobs.get(job)
    if (entry === undefined) return
    if (units === null) {
      this.#forget(job)
      return
    }
    const unwanted = new Set(units)
    entry.queue = entry.queue.filter(({ unit }) => !unwanted.has(unit))
    const runningUnwanted = entry.running.size > 0 && [...entry.running].every((unit) => unwanted.has(unit))
    if (!runningUnwanted) return
    entry.abort.abort()
    entry.abort = new AbortController()
  }

  #forget(job: JobId): void {
    this.#jobs.get(job)?.abort.abort()
    this.#jobs.delete(job)
  }

  /** What is queued will be given to others; what runs goes on, for its results still count if we meet again. */
  #disconnected(): void {
    this.#channel = null
    this.#components.outbox.connect(null)
    for (const [job, entry] of this.#jobs) {
      entry.queue.length = 0
      if (entry.admitted === null) this.#forget(job)
    }
  }

  #tell(message: ToSubmitter): void {
    this.#channel?.send(encodeFrame(message)).catch(this.#components.onError)
  }
}
