/** What one submitter has on this worker: its jobs, its queued units, and the way back for results. */

import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { UnitReport } from '../../protocol/report.ts'
import type { Attempt, ToSubmitter, ToWorker } from '../../protocol/work.ts'
import { toWorkerSchema } from '../../protocol/work.ts'
import type { Channel } from '../mesh/mesh.ts'
import { failed } from '../runtimes/failed.ts'
import type { UnitInput } from '../runtimes/runtime.ts'
import type { AdmittedJob, Introduction } from './admission.ts'
import { Checkpoints } from './checkpoints.ts'
import { DeskJob } from './desk-job.ts'
import { FilesAhead } from './files-ahead.ts'
import type { FetchOptions } from './inputs.ts'
import { KeptFiles } from './kept-files.ts'
import type { Outbox } from './outbox.ts'
import type { UnitFiles } from './unit-files.ts'
import { bytesOf } from './unit-queue.ts'

/** What came with ends of attempts. */
type Beside = { reports?: ReadonlyMap<number, UnitReport> | undefined; files?: UnitFiles }

type Components = {
  outbox: Outbox
  /** Checks a job and fetches its task. @throws coded, to be told to the submitter */
  admit(introduction: Introduction, options: FetchOptions): Promise<AdmittedJob>
  /** Called when units may have become ready to run, or room that was kept for others is wanted no more. */
  onReady(): void
  /** The owner has the machine: nothing is taken in. */
  isPaused(): boolean
  /** Milliseconds, monotonic. */
  now(): number
  onError(error: unknown): void
}

/** Refusals that the same job may not meet a while later. */
const PASSING: ReadonlySet<string> = new Set([
  'E_BUSY',
  'E_UNREACHABLE',
  'E_BLOB',
  'E_PAUSED',
  'E_TREE_SOURCE',
  'E_DISK_TAKEN',
  'E_DISK_FULL',
])

/** What is wrong with the files of a point, wherever they are fetched. */
const UNIT_AT_FAULT: ReadonlySet<string> = new Set(['E_INPUT', 'E_TREE'])

export class Desk {
  readonly submitter: string
  /** Against other submitters, when all want slots. */
  weight = 1
  /** Slot time used, milliseconds. */
  slotMs = 0
  readonly #components: Components
  readonly #slots: number
  readonly #jobs = new Map<JobId, DeskJob>()
  #channel: Channel | null = null
  /** Jobs not answered yet, some called off meanwhile: what a submitter does not read must not pile up. */
  readonly #unanswered = new Set<DeskJob>()
  readonly #files = new KeptFiles()
  readonly #checkpoints: Checkpoints
  #beating = false

  /** `slots`: units this machine runs at once. */
  constructor(components: Components, init: { submitter: string; slots: number }) {
    this.#components = components
    this.submitter = init.submitter
    this.#checkpoints = new Checkpoints({
      now: components.now,
      send: async (job, unit, state) => await this.#tell({ t: 'checkpoint', job, unit, state }),
    })
    this.#slots = init.slots
  }

  /** Serves one connection until it ends; a newer one takes over from an older, as from one that broke. */
  async serve(channel: Channel): Promise<void> {
    const older = this.#channel
    if (older !== null) {
      this.#disconnected()
      older.abort('E_UNREACHABLE', 'a newer session has taken over')
    }
    this.#channel = channel
    this.#components.outbox.connect(channel)
    this.#checkpoints.connect(true)
    try {
      for await (const frame of channel) {
        if (this.#channel !== channel) break
        // Answers are waited for: a submitter that asks and never reads is read no further.
        await this.#take(decodeFrame(toWorkerSchema, frame))
      }
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

  /** Nothing runs here and no result waits: nothing is lost if the desk is forgotten. */
  get idle(): boolean {
    return this.#jobs.size === 0 && this.#components.outbox.empty
  }

  queued(): number {
    let units = 0
    for (const entry of this.#jobs.values()) units += entry.queue.length
    return units
  }

  readyOf(job: JobId): number {
    return this.#jobs.get(job)?.ready ?? 0
  }

  running(): number {
    let units = 0
    for (const entry of this.#jobs.values()) units += entry.running
    return units
  }

  /** Jobs with units that could run now. */
  *ready(): Iterable<AdmittedJob> {
    for (const { admitted, ready } of this.#jobs.values()) if (admitted !== null && ready > 0) yield admitted
  }

  /** Takes up to `count` units of a ready job to run; `signal` aborts when none of them is wanted any more. */
  take(job: JobId, count: number): { units: UnitInput[]; signal: AbortSignal } {
    const entry = this.#jobs.get(job)
    if (entry === undefined) throw new RangeError('the job is not here')
    const { units, signal } = entry.take(count, this.#components.now())
    entry.changed()
    return { units: this.#checkpoints.withThose(job, units), signal }
  }

  /** A unit that runs here has saved its state. */
  checkpoint(job: JobId, unit: number, state: Uint8Array): void {
    if (this.#jobs.get(job)?.runs(unit) === true) this.#checkpoints.save(job, unit, state)
  }

  /** Units that were taken and have not run wait again, before all others of the job. */
  putBack(job: JobId, units: readonly UnitInput[]): void {
    const entry = this.#jobs.get(job)
    if (entry === undefined) return
    for (const { unit } of units) entry.ended(unit)
    // Of a submitter that is away, what waits is given to others.
    if (this.connected) entry.queue.putBack(units)
    else if (entry.running === 0) this.#forget(job)
    entry.changed()
  }

  /** Hands in the ends of attempts that `take` gave out. */
  finish(job: JobId, attempts: readonly Attempt[], { reports, files }: Beside = {}): void {
    const entry = this.#jobs.get(job)
    if (entry === undefined) return
    // With little more to run here, the submitter should know at once.
    const urgent = entry.queue.length <= this.#slots
    for (const { unit } of attempts) this.#files.keep(job, unit, files?.take(unit))
    this.#components.outbox.add(job, attempts, { arrivals: entry.arrivals, urgent, reports })
    this.drop(
      job,
      attempts.map(({ unit }) => unit),
    )
  }

  /** Units that run no more. */
  drop(job: JobId, units: readonly number[]): void {
    const entry = this.#jobs.get(job)
    if (entry === undefined) return
    for (const unit of units) {
      entry.ended(unit)
      entry.arrivals.delete(unit)
    }
    this.#checkpoints.drop(job, units)
    if (!this.connected && entry.running === 0) this.#forget(job)
    entry.changed()
  }

  /** Gives units back unrun, with the reason. */
  async handBack(job: JobId, units: readonly number[], code: string): Promise<void> {
    // Before the units: who gets them next goes on from there.
    const sent = this.#checkpoints.flush(job, units)
    this.drop(job, units)
    await sent
    for (let from = 0; from < units.length; from += LIMITS.WORKER_QUEUE_UNITS_MAX) {
      await this.#tell({ t: 'handback', job, units: units.slice(from, from + LIMITS.WORKER_QUEUE_UNITS_MAX), code })
    }
  }

  /** Gives back everything that waits, and keeps the jobs. */
  async giveBack(code: string): Promise<void> {
    for (const [job, { queue }] of this.#jobs) {
      const units = queue.takeAll().map(({ unit }) => unit)
      if (units.length > 0) await this.handBack(job, units, code)
    }
  }

  /** The sign of life. */
  async beat(): Promise<void> {
    if (this.#beating) return
    this.#beating = true
    await this.#tell({ t: 'beat', slots: this.#slots, queued: this.queued(), running: this.running() })
    for (const [job, entry] of this.#jobs) await this.#tellFetching(job, entry)
    this.#beating = false
  }

  /** Gives back what waits, sends the last results, and ends; what the submitter has not taken in time is lost. */
  async close(code: string): Promise<void> {
    const channel = this.#channel
    const farewell = Promise.all([...this.#jobs.keys()].map((job) => this.#return(job, code)))
    const late = AbortSignal.timeout(LIMITS.WORKER_STOP_GRACE_MS)
    await untilAborted(Promise.all([farewell, this.#components.outbox.flush()]), late)
    this.#channel = null
    this.#components.outbox.stop()
    this.#files.stop()
    this.#checkpoints.stop()
    await channel?.close()
  }

  async #return(job: JobId, code: string): Promise<void> {
    const units = this.#jobs.get(job)?.queue.takeAll() ?? []
    this.#forget(job)
    await this.handBack(
      job,
      units.map(({ unit }) => unit),
      code,
    )
  }

  async #take(message: ToWorker): Promise<void> {
    switch (message.t) {
      case 'job':
        await this.#introduce(message)
        break
      case 'run':
        await this.#enqueue(message.job, message.units)
        break
      case 'revoke':
        this.#revoke(message.job, message.units)
        break
      case 'resume':
        if (this.#jobs.has(message.job)) this.#checkpoints.keep(message.job, message.unit, message.state)
        break
      case 'taken':
        this.#files.release(message.job, message.units)
        break
    }
  }

  async #introduce(introduction: Introduction): Promise<void> {
    const { job } = introduction
    const known = this.#jobs.get(job)
    if (known !== undefined) {
      if (known.admitted !== null) await this.#tell({ t: 'accept', job })
    } else if (this.#components.isPaused()) {
      await this.#refuse(job, new TalkootError('E_PAUSED', 'the owner has paused this machine'))
    } else if (new Set([...this.#jobs.values(), ...this.#unanswered]).size >= LIMITS.JOBS_PER_DESK_MAX) {
      await this.#refuse(job, new TalkootError('E_BUSY', 'too many jobs at once'))
    } else {
      const onLate = () => void this.#tellFetching(job, entry).catch(this.#components.onError)
      const entry = new DeskJob({ onLate })
      this.#jobs.set(job, entry)
      // The next frames do not wait for the task to be fetched.
      this.#admit(introduction, entry).catch(this.#components.onError)
    }
  }

  async #admit(introduction: Introduction, entry: DeskJob): Promise<void> {
    const { job } = introduction
    const { admit, onReady } = this.#components
    this.#unanswered.add(entry)
    try {
      const { signal } = entry
      const admitted = await admit(introduction, { signal, onFetched: (fetched) => entry.files.update(fetched) })
      entry.files.end()
      if (this.#jobs.get(job) !== entry) return admitted.release()
      entry.admitted = admitted
      this.#fetchAhead(entry, admitted)
      onReady()
      await this.#tell({ t: 'accept', job })
    } catch (thrown) {
      // Called off, and perhaps introduced again since: then this answer is nobody's.
      if (this.#jobs.get(job) !== entry) return
      this.#forget(job)
      await this.#refuse(job, TalkootError.from(thrown))
    } finally {
      this.#unanswered.delete(entry)
      entry.files.end()
    }
  }

  #fetchAhead(entry: DeskJob, { id, pointFiles: files = null }: AdmittedJob): void {
    const { onReady, onError } = this.#components
    if (files === null) return
    const onFailed = (unit: number, { code, message }: TalkootError): void => {
      entry.queue.remove(new Set([unit]))
      if (UNIT_AT_FAULT.has(code)) this.finish(id, [failed(unit, code, message)])
      else this.handBack(id, [unit], code).catch(onError)
    }
    const units = this.#slots + LIMITS.POINT_INPUTS_AHEAD_UNITS
    entry.ahead = new FilesAhead({ files, onReady, onFailed }, { units })
    entry.changed()
  }

  /** A job whose files take a while has no units here meanwhile: others may run them. */
  async #tellFetching(job: JobId, { files, queue }: DeskJob): Promise<void> {
    if (files.late === null) return
    await this.#tell({ t: 'fetching', job, ...files.late })
    const units = queue.takeAll().map(({ unit }) => unit)
    if (units.length > 0) await this.handBack(job, units, 'E_FETCHING')
  }

  async #refuse(job: JobId, error: TalkootError): Promise<void> {
    const passing = PASSING.has(error.code)
    const message = error.message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
    const retryAfterMs = passing ? LIMITS.BUSY_RETRY_MS : null
    await this.#tell({ t: 'refuse', job, code: error.code, message, retryAfterMs })
  }

  async #enqueue(job: JobId, frame: readonly [number, string][]): Promise<void> {
    const entry = this.#jobs.get(job)
    const units = frame.map(([unit, params]) => ({ unit, params }))
    const paused = this.#components.isPaused()
    if (entry === undefined || paused || !this.#hasRoomFor(units)) {
      const numbers = units.map(({ unit }) => unit)
      await this.handBack(job, numbers, entry === undefined ? 'E_NOT_FOUND' : paused ? 'E_PAUSED' : 'E_BUSY')
      return
    }
    entry.enqueue(units, this.#components.now())
    entry.changed()
    if (entry.admitted !== null) this.#components.onReady()
  }

  #hasRoomFor(units: readonly UnitInput[]): boolean {
    let bytes = bytesOf(units)
    for (const { queue } of this.#jobs.values()) bytes += queue.bytes
    return bytes <= LIMITS.WORKER_QUEUE_MAX_BYTES && this.queued() + units.length <= LIMITS.WORKER_QUEUE_UNITS_MAX
  }

  #revoke(job: JobId, units: readonly number[] | null): void {
    const entry = this.#jobs.get(job)
    if (entry === undefined) return
    if (units === null) {
      this.#forget(job)
      this.#components.onReady()
      return
    }
    entry.revoke(units, this.#components.now())
    entry.changed()
    this.#checkpoints.drop(job, units)
    this.#components.onReady()
  }

  #forget(job: JobId): void {
    const entry = this.#jobs.get(job)
    this.#jobs.delete(job)
    this.#checkpoints.forget(job)
    entry?.end()
  }

  /** What is queued will be given to others; what runs goes on, for its results still count if we meet again. */
  #disconnected(): void {
    this.#channel = null
    this.#components.outbox.connect(null)
    this.#checkpoints.connect(false)
    for (const [job, entry] of this.#jobs) {
      entry.queue.takeAll()
      entry.changed()
      if (entry.running === 0) this.#forget(job)
    }
  }

  /** Never rejects: a channel that breaks ends its own session. */
  async #tell(message: ToSubmitter): Promise<void> {
    await this.#channel?.send(encodeFrame(message)).catch(this.#components.onError)
  }
}

async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([work, aborted])
}
