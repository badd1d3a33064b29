/** A running job as this process holds it: its generator, and a bit for each unit already decided. */

import { canonicalJson } from '../../protocol/canonical.ts'
import type { JobId, Manifest } from '../../protocol/manifest.ts'
import type { CompiledSweep } from '../../protocol/sweep/generator.ts'
import type { StoredJob } from '../store/job-store.ts'
import { compilePolicy, type MatchedPolicy, wantedOf } from './matching/policy.ts'
import type { JobSpec } from './scheduler/events.ts'
import { UnitSet } from './unit-set.ts'

type Spent = { executions: number; wasted: number }

export class LiveJob {
  readonly stored: StoredJob
  readonly manifest: Manifest
  readonly sweep: CompiledSweep
  /** The next place in the order of completion. */
  #nextSeq = 1
  #matched: MatchedPolicy | null = null
  #spent: Spent = { executions: 0, wasted: 0 }
  readonly #settled: UnitSet

  constructor(stored: StoredJob, manifest: Manifest, sweep: CompiledSweep) {
    this.stored = stored
    this.manifest = manifest
    this.sweep = sweep
    this.#settled = new UnitSet(sweep.size)
    let index = 0
    for (let unit = sweep.next(-1); index < sweep.size; unit = sweep.next(unit)) {
      // To the scheduler, what is not to be run has been.
      for (; index < unit; index++) this.#settled.add(index)
      index = unit + 1
    }
  }

  get id(): JobId {
    return this.stored.id
  }

  /** What introduces it to a worker. */
  get signed(): { manifest: Uint8Array; signature: Uint8Array } {
    return { manifest: this.stored.manifest, signature: this.stored.signature }
  }

  /** Which peers may be given units of it. */
  get matched(): MatchedPolicy {
    this.#matched ??= compilePolicy(wantedOf(this.manifest))
    return this.#matched
  }

  /** Marks a unit decided and gives its decision a place in the order. `seq` is given when it is read from the ledger. */
  settle(unit: number, seq: number = this.#nextSeq): number {
    this.#settled.add(unit)
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1)
    return seq
  }

  isSettled(unit: number): boolean {
    return this.#settled.has(unit)
  }

  /** Its decision does not stand any more. */
  reopen(unit: number): void {
    this.#settled.delete(unit)
  }

  /** What was spent since this was asked last, from what was spent since the job was taken up. */
  spend(now: Spent): Spent {
    const { executions, wasted } = this.#spent
    this.#spent = now
    return { executions: now.executions - executions, wasted: now.wasted - wasted }
  }

  /** Parameters of units as they are sent. */
  inputs(units: readonly number[]): [number, string][] {
    return units.map((unit) => [unit, canonicalJson(this.sweep.point(unit))])
  }

  /** What the scheduler needs to know of a job submitted so long ago; a clock that was set back makes it new, not younger. */
  spec({ ageMs, gate, catches }: Required<Pick<JobSpec, 'ageMs' | 'gate' | 'catches'>>): JobSpec {
    return {
      id: this.id,
      size: this.sweep.size,
      policy: this.manifest.policy,
      runtime: this.manifest.task.runtime,
      isSettled: (unit) => this.#settled.has(unit),
      settledCount: this.#settled.size,
      failedCount: this.stored.totals.failed,
      checkKey: this.stored.checkKey,
      ageMs: Math.max(0, ageMs),
      gate,
      catches,
    }
  }
}
