/** Answers `explain`: why a job, a unit, a peer is where it is. Everything is worked out when it is asked. */

import type { ResultRow } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import {
  type JobExplanation,
  type PeerExplanation,
  type Reasoned,
  reasoned,
  type UnitExplanation,
} from '../../protocol/explanation.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { Plan } from '../../protocol/plan.ts'
import { nearest, type Reason } from '../../protocol/reasons.ts'
import { type CompiledSweep, checkUnit } from '../../protocol/sweep/generator.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import type { Checkpoints } from './checkpoints.ts'
import { groupsOf, type PeerStanding, standingsOf } from './idle-peers.ts'
import type { JobViews } from './job-views.ts'
import type { LiveJob } from './live-job.ts'
import { explainMatch } from './matching/explain.ts'
import type { Candidate } from './matching/expression.ts'
import { clausesOf, wantedOf } from './matching/policy.ts'
import { type PlanDescription, planJob } from './planner.ts'
import type { JobProgress } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import type { UnitView } from './scheduler/views.ts'

type Components = {
  scheduler: Pick<Scheduler, 'progress' | 'seats' | 'unit'>
  checkpoints: Pick<Checkpoints, 'lastOf'>
  jobs: JobStore
  evidence: EvidenceStore
  compile(sweep: PlanDescription['sweep']): CompiledSweep
  views: JobViews
  live: ReadonlyMap<JobId, LiveJob>
  knownPeers(): Candidate[]
  /** Why no work is given out at all, and for how long, if so. */
  halted(): { sinceMs: number } | null
  /** The decision on one unit, as the ledger has it. */
  decided(job: JobRow, unit: number): ResultRow | null
  sweepOf(job: JobId): CompiledSweep
  /** How long no job has been running. */
  idleMs(): number
  now(): number
}

export class Explainer {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** How far a job that runs is: what the scheduler says, with the reasons it cannot see. Null for any other. */
  progress(id: JobId): JobProgress | null {
    const { scheduler, live, now } = this.#components
    const job = live.get(id)
    const progress = job === undefined ? null : scheduler.progress(id, now())
    if (job === undefined || progress === null) return null
    const waiting = progress.waiting.map(({ units, reason, sinceMs }) => ({
      units,
      ...this.#beyond(job, reason, sinceMs),
    }))
    return { ...progress, waiting }
  }

  /** What would become of a job; nothing is run or kept. @throws E_SWEEP_*, E_EXPRESSION, E_JOB_INVALID */
  plan(request: PlanDescription): Plan {
    const { jobs, ...components } = this.#components
    return planJob({ ...components, unitTime: (task) => jobs.unitTimes.of(task) }, request)
  }

  /** @throws E_NOT_FOUND */
  job(idOrPrefix: string): JobExplanation {
    const { views, live, jobs } = this.#components
    const info = views.info(idOrPrefix)
    const { id, name, state, units, accepted, failed, running, waiting, stopped, policy, task, after } = info
    const candidates = this.#components.knownPeers()
    return {
      schema: 'talkoot.explain.job/1',
      job: id,
      name,
      state,
      units,
      accepted,
      failed,
      running,
      waiting: waiting.map((entry) => ({ ...reasoned(entry.reason, entry.sinceMs), units: entry.units })),
      stopped,
      peers: this.#peers(live.get(id), candidates),
      clauses: explainMatch(wantedOf({ policy, task }), candidates).clauses.map(({ left, ...clause }) => ({
        ...clause,
        remaining: left,
      })),
      after: after.map((other) => {
        const row = jobs.row(other)
        const known = row === null ? '' : views.info(other).name
        return { job: other, name: known, state: row?.state ?? null, failed: row?.totals.failed ?? 0 }
      }),
    }
  }

  /** @throws E_NOT_FOUND */
  unit(idOrPrefix: string, unit: number): UnitExplanation {
    const { views, live, scheduler, now, decided, sweepOf } = this.#components
    const row = views.find(idOrPrefix)
    const sweep = sweepOf(row.id)
    checkUnit(sweep, unit)
    const outcome = decided(row, unit)
    const job = live.get(row.id)
    const view = outcome === null ? scheduler.unit(row.id, unit, now()) : null
    return {
      schema: 'talkoot.explain.unit/1',
      job: row.id,
      unit,
      params: sweep.point(unit),
      state: stateOf(outcome !== null, view, job !== undefined),
      runningMs: view === null || view.reason !== null ? null : view.sinceMs,
      waiting: view === null || view.reason === null || job === undefined ? null : this.#unitWaits(job, view),
      missing: view?.missing ?? 0,
      attempts: this.#attempts(view),
      checkpoint: outcome === null ? this.#components.checkpoints.lastOf(row.id, unit) : null,
      outcome,
      peers: this.#peers(job, this.#components.knownPeers()),
    }
  }

  /** A peer known now, by its id; what the mesh knows of it is told elsewhere. @throws E_NOT_FOUND */
  peer(id: string, notes: string[]): PeerExplanation {
    const { live, knownPeers } = this.#components
    const candidate = knownPeers().find((known) => known.id === id)
    if (candidate === undefined) throw new TalkootError('E_NOT_FOUND', `no peer ${id} is connected`)
    const jobs = [...live.values()].map((job) => this.#peerInJob(job, candidate))
    const units = jobs.reduce((sum, entry) => sum + entry.units, 0)
    return {
      schema: 'talkoot.explain.peer/1',
      peer: id,
      name: candidate.ad.name,
      self: candidate.trust === 'self',
      state: units > 0 ? 'working' : 'idle',
      units,
      idle: units > 0 ? null : idleReason(candidate, jobs, this.#components.idleMs()),
      returnsInMs: candidate.ad.paused?.returnsInMs ?? null,
      jobs,
      notes,
    }
  }

  #peerInJob(job: LiveJob, candidate: Candidate): PeerExplanation['jobs'][number] {
    const { name } = job.manifest
    const [standing] = this.#standings(job, [candidate])
    const { units = 0, reason = null, sinceMs = 0, code = null, returnsInMs = null, seat = null } = standing ?? {}
    return {
      job: job.id,
      name,
      units,
      idle: reason === null ? null : reasoned(reason, sinceMs),
      code,
      restsForMs: returnsInMs,
      agreed: seat?.agreed ?? 0,
      outvoted: seat?.outvoted ?? 0,
      fails: clausesOf(wantedOf(job.manifest)).flatMap(({ text, holds }) => (holds(candidate) ? [] : [text])),
    }
  }

  /** The scheduler knows of peers with a session only; without a ledger there are none. */
  #beyond(job: LiveJob, reason: Reason, sinceMs: number): { reason: Reason; sinceMs: number } {
    if (reason !== 'no-peer') return { reason, sinceMs }
    const reasons = this.#standings(job, this.#components.knownPeers()).flatMap(({ reason }) => reason ?? [])
    return { reason: nearest(reasons.filter((of) => of !== 'no-cores')), sinceMs }
  }

  #unitWaits(job: LiveJob, { reason, sinceMs }: UnitView): Reasoned | null {
    if (reason === null) return null
    const beyond = this.#beyond(job, reason, sinceMs)
    return reasoned(beyond.reason, beyond.sinceMs)
  }

  #standings(job: LiveJob, candidates: readonly Candidate[]): PeerStanding[] {
    const { scheduler, now, halted } = this.#components
    const stopped = halted()
    const progress = scheduler.progress(job.id, now())
    const whole = progress?.waiting.find(({ reason }) => GATES.has(reason)) ?? null
    return standingsOf({
      candidates,
      seats: scheduler.seats(job.id, now()),
      matched: job.matched,
      overall:
        stopped === null
          ? whole && { reason: whole.reason, sinceMs: whole.sinceMs }
          : { reason: 'ledger-halted', ...stopped },
      waitedMs: progress?.waiting[0]?.sinceMs ?? 0,
      now: now(),
    })
  }

  #peers(job: LiveJob | undefined, candidates: readonly Candidate[]): JobExplanation['peers'] {
    if (job === undefined) return { known: candidates.length, working: 0, units: 0, idle: [] }
    const standings = this.#standings(job, candidates)
    return {
      known: candidates.length,
      working: standings.filter(({ units }) => units > 0).length,
      units: standings.reduce((sum, { units }) => sum + units, 0),
      idle: groupsOf(standings),
    }
  }

  #attempts(view: UnitView | null): UnitExplanation['attempts'] {
    const names = new Map(this.#components.knownPeers().map(({ id, ad }) => [id, ad.name]))
    return (view?.attempts ?? []).map((attempt) => ({ ...attempt, name: names.get(attempt.peer) ?? '' }))
  }
}

/** Reasons of a whole job. */
const GATES: ReadonlySet<Reason> = new Set<Reason>([
  'held',
  'dependency',
  'dependency-failed',
  'not-repeatable',
  'platform-differs',
])

function stateOf(decided: boolean, view: UnitView | null, live: boolean): UnitExplanation['state'] {
  if (view !== null) return view.reason === null ? 'running' : 'waiting'
  // Between the decision and the ledger are some milliseconds.
  return decided || live ? 'decided' : 'given-up'
}

function idleReason({ ad, blockedMs }: Candidate, jobs: PeerExplanation['jobs'], idleMs: number): Reasoned {
  if (blockedMs !== undefined) return reasoned('blocked', blockedMs)
  if (ad.paused !== null) return reasoned('paused', ad.paused.forMs)
  const reasons = jobs.flatMap(({ idle }) => idle ?? [])
  const reason = nearest(reasons.map((idle) => idle.reason))
  const found = reasons.find((idle) => idle.reason === reason)
  return found ?? reasoned(ad.cpus === 0 ? 'no-cores' : 'no-work', idleMs)
}
