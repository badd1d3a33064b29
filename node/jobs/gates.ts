/**
 * Jobs that wait as a whole: held by their submitter, or after other jobs. What holds is in the ledger; this works out
 * the gate from it, and says when it changes.
 */

import type { Finding } from '../../protocol/finding.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import { findingOf } from './finding.ts'
import type { Gate } from './scheduler/events.ts'

type Components = {
  jobs: JobStore
  /** This machine's wall clock, for ages only. */
  wallClock(): number
  onGate(job: JobId, gate: Gate | null): void
}

type Watched = { after: readonly JobId[]; gate: Gate | null }

export class Gates {
  readonly #components: Components
  readonly #watched = new Map<JobId, Watched>()
  readonly #followers = new Map<JobId, Set<JobId>>()

  constructor(components: Components) {
    this.#components = components
  }

  /** From now on the gate of a job that runs is known; as it is now. */
  watch(job: JobId, after: readonly JobId[]): Gate | null {
    const gate = this.#gateOf(job, after)
    this.#watched.set(job, { after, gate })
    for (const other of after) {
      const followers = this.#followers.get(other) ?? new Set()
      this.#followers.set(other, followers.add(job))
    }
    return gate
  }

  forget(job: JobId): void {
    for (const other of this.#watched.get(job)?.after ?? []) {
      const followers = this.#followers.get(other)
      followers?.delete(job)
      if (followers?.size === 0) this.#followers.delete(other)
    }
    this.#watched.delete(job)
  }

  /** Some job could give work out. */
  get someOpen(): boolean {
    for (const { gate } of this.#watched.values()) if (gate === null) return true
    return false
  }

  /** @throws E_DISK_FULL */
  hold({ id, n }: JobRow): void {
    this.#components.jobs.hold(n, this.#components.wallClock())
    this.#lookAgain(id)
  }

  /** Until it is released. @throws E_DISK_FULL */
  stop({ id, n }: Pick<JobRow, 'id' | 'n'>, finding: Finding): void {
    this.#components.jobs.stop(n, this.#components.wallClock(), JSON.stringify(finding))
    this.#lookAgain(id)
  }

  /** Also lets a job go on that follows one which failed, now or later. @throws E_DISK_FULL */
  release({ id, n }: JobRow): void {
    const after = this.#watched.get(id)?.after ?? []
    const waive = after.some((other) => isBad(this.#components.jobs.row(other)))
    this.#components.jobs.release(n, { waive })
    this.#lookAgain(id)
  }

  /** The end of a job is in the ledger. */
  ended(job: JobId): void {
    for (const follower of this.#followers.get(job) ?? []) this.#lookAgain(follower)
  }

  #lookAgain(job: JobId): void {
    const watched = this.#watched.get(job)
    if (watched === undefined) return
    const gate = this.#gateOf(job, watched.after)
    if (gate?.reason === watched.gate?.reason) return
    watched.gate = gate
    this.#components.onGate(job, gate)
  }

  #gateOf(id: JobId, after: readonly JobId[]): Gate | null {
    const { jobs, wallClock } = this.#components
    const row = jobs.row(id)
    const forMs = (since: number) => Math.max(0, wallClock() - since)
    if (row === null) return null
    if (row.heldMs !== null) return { reason: findingOf(row)?.reason ?? 'held', forMs: forMs(row.heldMs) }
    const others = after.map((other) => jobs.row(other))
    const bad = others.filter(isBad)
    if (bad.length > 0 && !row.waived) {
      const since = Math.min(...bad.map((other) => other?.endedMs ?? row.createdMs))
      return { reason: 'dependency-failed', forMs: forMs(Math.max(since, row.createdMs)) }
    }
    const running = others.some((other) => other?.state === 'running')
    return running ? { reason: 'dependency', forMs: forMs(row.createdMs) } : null
  }
}

/** A job ended well if every unit was accepted. */
const isBad = (job: JobRow | null): boolean =>
  job === null || job.state === 'cancelled' || (job.state === 'done' && job.totals.failed > 0)
