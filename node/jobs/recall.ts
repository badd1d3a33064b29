/** Reads decisions from the ledger again for the scheduler, page by page, when a word they hang on has lost its worth. */

import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import type { StoredResult } from '../store/result-store.ts'
import type { DecisionLog } from './decision-log.ts'
import type { Recalled, SchedulerEffect, SchedulerEvent } from './scheduler/events.ts'

type Of = Extract<SchedulerEffect, { type: 'recall' }>['of']

type Components = {
  jobs: JobStore
  evidence: EvidenceStore
  log: DecisionLog
  onEvent(event: SchedulerEvent): void
  onError(error: unknown): void
}

export class Recall {
  readonly #components: Components
  readonly #pending = new Set<NodeJS.Immediate>()

  constructor(components: Components) {
    this.#components = components
  }

  /** The answer comes as `recalled` events, after this turn of the event loop. */
  read(job: Pick<JobRow, 'n' | 'id'>, of: Of): void {
    if ('units' in of) this.#later(() => this.#units(job, of.units))
    else this.#later(() => this.#page(job, 'peer' in of ? [of.peer] : this.#components.evidence.everCaught(), -1))
  }

  stop(): void {
    for (const pending of this.#pending) clearImmediate(pending)
    this.#pending.clear()
  }

  #units({ n, id }: Pick<JobRow, 'n' | 'id'>, units: readonly number[]): void {
    const { jobs, onEvent } = this.#components
    const rows = units.flatMap((unit) => jobs.results.page(n, 'unit', unit - 1, 1).filter((row) => row.unit === unit))
    onEvent({ type: 'recalled', job: id, units: rows.map(toRecalled), last: true })
  }

  /** However long the job, others have their turn between two pages. */
  #page(job: Pick<JobRow, 'n' | 'id'>, peers: readonly string[], after: number): void {
    const { jobs, onEvent } = this.#components
    const rows = jobs.results.spokenOnBy(job.n, peers, after, LIMITS.SETTLED_PER_STEP_MAX)
    const last = rows.length < LIMITS.SETTLED_PER_STEP_MAX
    // A unit without enough peers that agreed is as undecided as can be: there is nothing in it to doubt.
    const units = rows.filter(({ ok, blame }) => ok || blame === 'program' || blame === 'memory').map(toRecalled)
    onEvent({ type: 'recalled', job: job.id, units, last })
    if (!last) this.#later(() => this.#page(job, peers, rows.at(-1)?.unit ?? after))
  }

  /** What was decided until now must be written before it is read. */
  #later(read: () => void): void {
    const pending = setImmediate(() => {
      this.#pending.delete(pending)
      this.#components.log.commit()
      try {
        read()
      } catch (error) {
        this.#components.onError(error)
      }
    })
    this.#pending.add(pending)
  }
}

function toRecalled({ unit, ok, value, code, voices }: StoredResult): Recalled {
  const kept = value ?? ''
  return ok
    ? { unit, ok, said: digestOf(kept), value: kept, voices }
    : { unit, ok, said: code ?? '', value: '', voices }
}
