/** Files of units of one submitter, kept here until it has fetched them, or for a while, and within bounds. */

import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { HeldTree } from '../store/tree-store.ts'

type Kept = { held: Pick<HeldTree, 'cost' | 'release'>; timer: NodeJS.Timeout }

export class KeptFiles {
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  /** Released by this from now on; undefined: the unit left none. */
  keep(job: JobId, unit: number, held: Kept['held'] | undefined): void {
    if (held === undefined) return
    this.release(job, [unit])
    const timer = setTimeout(() => this.release(job, [unit]), LIMITS.UNIT_FILES_KEEP_MS)
    this.#kept.set(keyOf(job, unit), { held, timer })
    this.#bytes += held.cost
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= LIMITS.UNIT_FILES_KEPT_MAX_BYTES) break
      this.#release(oldest)
    }
  }

  release(job: JobId, units: readonly number[]): void {
    for (const unit of units) this.#release(keyOf(job, unit))
  }

  stop(): void {
    for (const key of [...this.#kept.keys()]) this.#release(key)
  }

  #release(key: string): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    this.#bytes -= kept.held.cost
    clearTimeout(kept.timer)
    kept.held.release()
  }
}

const keyOf = (job: JobId, unit: number): string => `${job} ${unit}`
