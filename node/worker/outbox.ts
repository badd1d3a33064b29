/** Ends of attempts on their way to one submitter: gathered into frames, each with one signed receipt. */

import { encodeFrame, FRAME_ROOM_BYTES } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import type { UnitReport } from '../../protocol/report.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Attempt, ToSubmitter } from '../../protocol/work.ts'
import type { Channel } from '../mesh/mesh.ts'

/** `arrivedAt`: when the unit came here, if that was noted. */
type Entry = { job: JobId; attempt: Attempt; bytes: number; arrivedAt: number | null; report: UnitReport | null }

type Options = {
  arrivals?: Map<number, number> | undefined
  urgent?: boolean | undefined
  /** What units left beside their ends. */
  reports?: ReadonlyMap<number, UnitReport> | undefined
}

type Components = {
  signer: Signer
  /** Milliseconds, monotonic. */
  now(): number
  onError(error: unknown): void
}

export class Outbox {
  readonly #components: Components
  readonly #waiting: Entry[] = []
  #waitingBytes = 0
  #channel: Channel | null = null
  #timer: NodeJS.Timeout | null = null
  #sending: Promise<void> | null = null
  /** Runs since the last frame went: the next gathers until then. */
  #gathering: NodeJS.Timeout | null = null

  constructor(components: Components) {
    this.#components = components
  }

  /** Nothing waits and nothing is under way. */
  get empty(): boolean {
    return this.#waiting.length === 0 && this.#sending === null
  }

  /** Sends over this channel from now on, what waited first; null keeps results until there is one. */
  connect(channel: Channel | null): void {
    this.#channel = channel
    this.#flush()
  }

  /**
   * Results of a silent submitter are kept up to a bound; past it reports go, then the oldest results, and their units run again. What is
   * added gathers for RESULTS_INTERVAL_MS after the last frame, unless it fills one, or is `urgent`.
   */
  add(job: JobId, attempts: readonly Attempt[], options: Options = {}): void {
    for (const attempt of attempts) {
      const entry = entryOf(job, attempt, options)
      this.#waiting.push(entry)
      this.#waitingBytes += entry.bytes
    }
    this.#trim()
    const full = this.#waiting.length >= LIMITS.FRAME_UNITS_MAX || this.#waitingBytes >= FRAME_ROOM_BYTES
    if (full || options.urgent || this.#gathering === null) this.#flush()
  }

  /** Sends what waits, as far as the channel takes it. */
  async flush(): Promise<void> {
    while (this.#channel !== null && !this.empty) await this.#send()
  }

  stop(): void {
    for (const timer of [this.#timer, this.#gathering]) if (timer !== null) clearTimeout(timer)
    this.#timer = null
    this.#gathering = null
    this.#channel = null
    this.#waiting.length = 0
    this.#waitingBytes = 0
  }

  /** Once whatever else this turn adds is here. */
  #flush(): void {
    if (this.#sending !== null || this.#channel === null || this.#waiting.length === 0) return
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#send()
    }, 0)
  }

  #gather(): void {
    if (this.#gathering !== null) clearTimeout(this.#gathering)
    this.#gathering = setTimeout(() => {
      this.#gathering = null
      this.#flush()
    }, LIMITS.RESULTS_INTERVAL_MS)
  }

  /** One sending at a time; never rejects. */
  #send(): Promise<void> {
    this.#sending ??= this.#sendAll()
      .catch(this.#components.onError)
      .finally(() => {
        this.#sending = null
        // Another channel may have come while the last one failed.
        if (this.#gathering === null) this.#flush()
      })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#channel !== null && this.#waiting.length > 0) {
      const channel = this.#channel
      const batch = this.#takeBatch()
      const attempts = batch.map(({ attempt }) => attempt)
      const job = batch[0]?.job ?? ''
      try {
        this.#gather()
        const { signature } = await signReceipt(this.#components.signer, job, attempts)
        const message: ToSubmitter = {
          t: 'results',
          job,
          attempts,
          ...this.#heldOf(batch),
          ...reportsOf(batch),
          signature,
        }
        await channel.send(encodeFrame(message))
      } catch (error) {
        this.#putBack(batch)
        if (this.#channel === channel) this.#channel = null
        throw error
      }
    }
  }

  #heldOf(batch: readonly Entry[]): { held?: [unit: number, ms: number] } {
    for (const { attempt, arrivedAt } of batch) {
      if (arrivedAt !== null) return { held: [attempt.unit, Math.max(0, this.#components.now() - arrivedAt)] }
    }
    return {}
  }

  /** The longest run of results of one job that fits a frame. */
  #takeBatch(): Entry[] {
    const job = this.#waiting[0]?.job
    let bytes = 0
    let count = 0
    for (const entry of this.#waiting) {
      if (entry.job !== job || count >= LIMITS.FRAME_UNITS_MAX) break
      if (count > 0 && bytes + entry.bytes > FRAME_ROOM_BYTES) break
      bytes += entry.bytes
      count += 1
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  #putBack(batch: readonly Entry[]): void {
    this.#waiting.unshift(...batch)
    for (const { bytes } of batch) this.#waitingBytes += bytes
    this.#trim()
  }

  #trim(): void {
    for (const entry of this.#waiting) {
      if (this.#waitingBytes <= LIMITS.OUTBOX_MAX_BYTES) break
      const freed = bytesOfReport(entry.report)
      entry.report = null
      entry.bytes -= freed
      this.#waitingBytes -= freed
    }
    while (this.#waitingBytes > LIMITS.OUTBOX_MAX_BYTES || this.#waiting.length > LIMITS.WORKER_QUEUE_UNITS_MAX) {
      this.#waitingBytes -= this.#waiting.shift()?.bytes ?? 0
    }
  }
}

function entryOf(job: JobId, attempt: Attempt, { arrivals, reports }: Options): Entry {
  const arrivedAt = arrivals?.get(attempt.unit) ?? null
  if (arrivedAt !== null) arrivals?.delete(attempt.unit)
  const report = reports?.get(attempt.unit) ?? null
  const bytes = Buffer.byteLength(attempt.ok ? attempt.value : attempt.message) + bytesOfReport(report)
  return { job, attempt, bytes, arrivedAt, report }
}

/** What is written there; the room a frame has for its envelope is room for the figures. */
const bytesOfReport = (report: UnitReport | null): number =>
  report === null ? 0 : Buffer.byteLength(report.stdout) + Buffer.byteLength(report.stderr)

function reportsOf(batch: readonly Entry[]): { reports?: UnitReport[] } {
  const reports = batch.flatMap(({ report }) => report ?? [])
  return reports.length === 0 ? {} : { reports }
}
