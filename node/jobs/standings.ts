/** How far the jobs that run are, and where each known peer stands in them: with the reasons the scheduler cannot see. */

import type { JobId } from '../../protocol/manifest.ts'
import { nearest, type Reason } from '../../protocol/reasons.ts'
import { type PeerStanding, standingsOf } from './idle-peers.ts'
import type { LiveJob } from './live-job.ts'
import type { Candidate } from './matching/expression.ts'
import type { RunningJobs } from './running-jobs.ts'
import type { JobProgress } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'

type Components = {
  scheduler: Pick<Scheduler, 'progress' | 'seats'>
  running: Pick<RunningJobs, 'live' | 'halted'>
  knownPeers(): Candidate[]
  /** Milliseconds, monotonic. */
  now(): number
}

/** Reasons of a whole job. */
const GATES: ReadonlySet<Reason> = new Set<Reason>([
  'held',
  'dependency',
  'dependency-failed',
  'not-repeatable',
  'platform-differs',
])

export class Standings {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** How far a job that runs is; null for any other. */
  progress(id: JobId): JobProgress | null {
    const { scheduler, running, now } = this.#components
    const job = running.live.get(id)
    const progress = job === undefined ? null : scheduler.progress(id, now())
    if (job === undefined || progress === null) return null
    const waiting = progress.waiting.map((group) => ({ ...group, reason: this.reasonOf(job, group.reason) }))
    return { ...progress, waiting }
  }

  /** The scheduler knows of peers with a session only; without a ledger there are none. */
  reasonOf(job: LiveJob, reason: Reason): Reason {
    if (reason !== 'no-peer') return reason
    const reasons = this.of(job, this.#components.knownPeers()).flatMap((standing) => standing.reason ?? [])
    return nearest(reasons.filter((of) => of !== 'no-cores'))
  }

  /** Where these peers stand in the job. */
  of(job: LiveJob, candidates: readonly Candidate[]): PeerStanding[] {
    const { scheduler, running, now } = this.#components
    const { halted } = running
    const progress = scheduler.progress(job.id, now())
    const whole = progress?.waiting.find(({ reason }) => GATES.has(reason)) ?? null
    return standingsOf({
      candidates,
      seats: scheduler.seats(job.id, now()),
      matched: job.matched,
      overall:
        halted === null
          ? whole && { reason: whole.reason, sinceMs: whole.sinceMs }
          : { reason: 'ledger-halted', sinceMs: halted.sinceMs },
      waitedMs: progress?.waiting[0]?.sinceMs ?? 0,
      now: now(),
    })
  }
}
