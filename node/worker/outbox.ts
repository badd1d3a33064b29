/** Ends of attempts on their way to one submitter: gathered into frames, each with one signed receipt. */

import { encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Attempt, ToSubmitter } from '../../protocol/work.ts'
import type { Channel } from '../mesh/mesh.ts'

/** Room for the envelope, the receipt and its signature beside the values in one frame. */
const FRAME_VALUES_BYTES = LIMITS.FRAME_MAX_BYTES / 2

type Entry = { job: JobId; attempt: Attempt; bytes: number }

export class Outbox {
  readonly #signer: Signer
  readonly #onError: (error: unknown) => void
  readonly #waiting: Entry[] = []
  #waitingBytes = 0
  #channel: Channel | null = null
  #timer: NodeJS.Timeout | null = null
  #sending: Promise<void> | null = null

  constructor(components: { signer: Signer; onError: (error: unknown) => void }) {
    this.#signer = components.signer
    this.#onError = components.onError
  }

  /** Nothing waits and nothing is under way. */
  get empty(): boolean {
    return this.#waiting.length === 0 && this.#sending === null
  }

  /** Sends over this channel from now on, what waited first; null keeps results until there is one. */
  connect(channel: Channel | null): void {
    this.#channel = channel
    this.#flushSoon(0)
  }

  /** Results of a silent submitter are kept up to a bound; past it the oldest go, and their units run again. */
  add(job: JobId, attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      const entry = entryOf(job, attempt)
      this.#waiting.push(entry)
      this.#waitingBytes += entry.bytes
    }
    this.#trim()
    const full = this.#waiting.length >= LIMITS.FRAME_UNITS_MAX || this.#waitingBytes >= FRAME_VALUES_BYTES
    this.#flushSoon(full ? 0 : LIMITS.RESULTS_DELAY_MS)
  }

  /** Sends what waits, as far as the channel takes it. */
  async flush(): Promise<void> {
    while (this.#channel !== null && !this.empty) await this.#send()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#channel = null
    this.#waiting.length = 0
    this.#waitingBytes = 0
  }

  #flushSoon(delayMs: number): void {
    if (this.#sending !== null || this.#channel === null || this.#waiting.length === 0) return
    if (this.#timer !== null) {
      if (delayMs > 0) return
      clearTimeout(this.#timer)
    }
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#send()
    }, delayMs)
  }

  /** One sending at a time; never rejects. */
  #send(): Promise<void> {
    this.#sending ??= this.#sendAll()
      .catch(this.#onError)
      .finally(() => {
        this.#sending = null
        // Another channel may have come while the last one failed.
        this.#flushSoon(0)
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
        const signed = await signReceipt(this.#signer, job, attempts)
        await channel.send(encodeFrame({ t: 'results', job, attempts, ...signed } satisfies ToSubmitter))
      } catch (error) {
        this.#putBack(batch)
        if (this.#channel === channel) this.#channel = null
        throw error
      }
    }
  }

  /** The longest run of results of one job that fits a frame. */
  #takeBatch(): Entry[] {
    const job = this.#waiting[0]?.job
    let bytes = 0
    let count = 0
    for (const entry of this.#waiting) {
      if (entry.job !== job || count >= LIMITS.FRAME_UNITS_MAX) break
      if (count > 0 && bytes + entry.bytes > FRAME_VALUES_BYTES) break
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
    while (this.#waitingBytes > LIMITS.OUTBOX_MAX_BYTES || this.#waiting.length > LIMITS.WORKER_QUEUE_UNITS_MAX) {
      this.#waitingBytes -= this.#waiting.shift()?.bytes ?? 0
    }
  }
}

function entryOf(job: JobId, attempt: Attempt): Entry {
  return { job, attempt, bytes: Buffer.byteLength(attempt.ok ? attempt.value : attempt.message) }
}
