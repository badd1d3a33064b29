/** Files of units, kept here until their submitter has fetched them, or for a while. */

import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { HeldTree } from '../store/tree-store.ts'

type Kept = { held: Pick<HeldTree, 'release'>; timer: NodeJS.Timeout }

export class KeptFiles {
  readonly #kept = new Map<string, Kept>()

  /** Released by this from now on; undefined: the unit left none. */
  keep(job: JobId, unit: number, held: Kept['held'] | undefined): void {
    if (held === undefined) return
    this.release(job, [unit])
    const timer = setTimeout(() => this.release(job, [unit]), LIMITS.UNIT_FILES_KEEP_MS)
    this.#kept.set(keyOf(job, unit), { held, timer })
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
    clearTimeout(kept.timer)
    kept.held.release()
  }
}

const keyOf = (job: JobId, unit: number): string => `${job} ${unit}`
