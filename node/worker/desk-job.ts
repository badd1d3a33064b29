/** One job of a submitter on this worker: what of it waits, and what runs. */

import { LIMITS } from '../../protocol/limits.ts'
import type { UnitInput } from '../runtimes/runtime.ts'
import type { AdmittedJob } from './admission.ts'
import type { FilesAhead } from './files-ahead.ts'
import { FilesWait } from './files-wait.ts'
import { UnitQueue } from './unit-queue.ts'

/** Units taken together: `left` of them still run, and `cut` ends their process once none is wanted. */
type Batch = { left: number; began: number; abort: AbortController; cut: NodeJS.Timeout | null }

export class DeskJob {
  readonly queue = new UnitQueue()
  readonly files: FilesWait
  admitted: AdmittedJob | null = null
  /** Null: its units are given what it brings, and no more. */
  ahead: FilesAhead | null = null
  readonly #running = new Map<number, Batch>()
  /** When the first unit of each frame came, milliseconds; gone once told. */
  readonly arrivals = new Map<number, number>()
  readonly #ending = new AbortController()

  /** `onLate`: its files take a while. */
  constructor({ onLate }: { onLate(): void }) {
    this.files = new FilesWait(onLate)
  }

  /** Aborts when the job is not wanted here any more. */
  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** Units that wait and could run now. */
  get ready(): number {
    if (this.admitted === null) return 0
    return this.ahead?.ready(this.queue.waiting) ?? this.queue.length
  }

  /** Whatever waits or runs is another: files are fetched ahead for some, others are let go of. */
  changed(): void {
    this.ahead?.update(this.queue.waiting, this.#running)
  }

  /** Units. */
  get running(): number {
    return this.#running.size
  }

  runs(unit: number): boolean {
    return this.#running.has(unit)
  }

  enqueue(units: UnitInput[], now: number): void {
    const [first] = units
    if (first !== undefined) this.arrivals.set(first.unit, now)
    this.queue.push(...units)
  }

  /** Up to `count` units, which run from now on; `signal` aborts when none of them is wanted any more. */
  take(count: number, now: number): { units: UnitInput[]; signal: AbortSignal } {
    const units = this.#takeReady(count)
    const batch: Batch = { left: units.length, began: now, abort: new AbortController(), cut: null }
    for (const { unit } of units) this.#running.set(unit, batch)
    return { units, signal: batch.abort.signal }
  }

  #takeReady(count: number): UnitInput[] {
    const { ahead } = this
    if (ahead === null) return this.queue.take(count)
    return this.queue
      .take(count, ({ unit }) => ahead.isReady(unit))
      .map(({ files: _, ...input }) => {
        const files = ahead.of(input.unit)
        return files === null ? input : { ...input, files }
      })
  }

  /** It runs no more. */
  ended(unit: number): void {
    const batch = this.#running.get(unit)
    if (batch === undefined) return
    this.#running.delete(unit)
    batch.left -= 1
    if (batch.left === 0 && batch.cut !== null) clearTimeout(batch.cut)
  }

  /** They are not wanted any more: what waits goes, what runs may go on for a while. */
  revoke(units: readonly number[], now: number): void {
    this.queue.remove(new Set(units))
    const wanted = new Map<Batch, number>()
    for (const unit of units) {
      this.arrivals.delete(unit)
      const batch = this.#running.get(unit)
      if (batch !== undefined) wanted.set(batch, (wanted.get(batch) ?? batch.left) - 1)
    }
    for (const [batch, left] of wanted) if (left === 0) cutSoon(batch, now)
  }

  /** Ends what runs of it, and what is on its way. */
  end(): void {
    this.#ending.abort()
    this.files.end()
    for (const batch of new Set(this.#running.values())) {
      batch.abort.abort()
      if (batch.cut !== null) clearTimeout(batch.cut)
    }
    this.ahead?.close()
    this.admitted?.release()
  }
}

/** What remains of a unit is not known, and a new process costs time too. */
function cutSoon(batch: Batch, now: number): void {
  batch.cut ??= setTimeout(() => batch.abort.abort(), Math.max(0, LIMITS.UNWANTED_RUN_MS - (now - batch.began)))
}
