/** What units that run here have written lately: the last of each, for whoever submitted them, until they end. */

import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { OutputStream } from '../../protocol/tail.ts'

type Piece = { stream: OutputStream; bytes: Uint8Array }

/** Of the units one sandbox runs, one after another. */
export class LiveOutput {
  /** Of the units that run; null until one writes or is followed, which most never do. */
  readonly #rings = new Map<number, Ring | null>()

  /** These are run next. */
  begin(units: readonly number[]): void {
    this.clear()
    for (const unit of units) this.#rings.set(unit, null)
  }

  add(unit: number, stream: OutputStream, bytes: Uint8Array): void {
    this.of(unit)?.add({ stream, bytes })
  }

  /** Undefined: it does not run. */
  of(unit: number): Ring | undefined {
    const known = this.#rings.get(unit)
    if (known !== null) return known
    const ring = new Ring()
    this.#rings.set(unit, ring)
    return ring
  }

  end(unit: number): void {
    this.#rings.get(unit)?.end()
    this.#rings.delete(unit)
  }

  clear(): void {
    for (const unit of [...this.#rings.keys()]) this.end(unit)
  }
}

/** The last LOG_RING_BYTES of what came; a reader that is slower misses what was before. */
export class Ring {
  readonly #pieces: Piece[] = []
  #bytes = 0
  /** Pieces that are no longer here. */
  #gone = 0
  #ended = false
  readonly #waiting = new Set<() => void>()

  add({ stream, bytes }: Piece): void {
    const last = bytes.subarray(-LIMITS.LOG_RING_BYTES)
    this.#pieces.push({ stream, bytes: new Uint8Array(last) })
    this.#bytes += last.length
    while (this.#bytes > LIMITS.LOG_RING_BYTES) {
      this.#bytes -= this.#pieces.shift()?.bytes.length ?? 0
      this.#gone += 1
    }
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** From the oldest that is here, until the unit ends or the signal aborts. */
  async *read(signal: AbortSignal): AsyncGenerator<Piece> {
    let next = 0
    while (!signal.aborted) {
      next = Math.max(next, this.#gone)
      const piece = this.#pieces[next - this.#gone]
      if (piece !== undefined) {
        next += 1
        yield piece
      } else if (this.#ended) return
      else await this.#more(signal)
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    await promise
    this.#waiting.delete(wake)
    signal.removeEventListener('abort', wake)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }
}

/** Of all slots. */
export class LiveOutputs {
  readonly #running = new Set<{ submitter: string; job: JobId; live: LiveOutput }>()

  /** Until what is returned is called. */
  add(submitter: string, job: JobId, live: LiveOutput): () => void {
    const entry = { submitter, job, live }
    this.#running.add(entry)
    return () => {
      live.clear()
      this.#running.delete(entry)
    }
  }

  /** Undefined: it does not run here, or is another submitter's. */
  find(submitter: string, job: JobId, unit: number): Ring | undefined {
    for (const entry of this.#running) {
      if (entry.submitter !== submitter || entry.job !== job) continue
      const ring = entry.live.of(unit)
      if (ring !== undefined) return ring
    }
    return undefined
  }
}
