/** Answers `explain`: why a job, a unit, a peer is where it is. Everything is worked out when it is asked. */

import { TalkootError } from '../../protocol/errors.ts'
import {
  type JobExplanation,
  type PeerExplanation,
  type Reasoned,
  reasoned,
  type UnitExplanation,
} from '../../protocol/explanation.ts'
import type { Plan } from '../../protocol/plan.ts'
import { nearest } from '../../protocol/reasons.ts'
import { checkUnit } from '../../protocol/sweep/generator.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobStore } from '../store/job-store.ts'
import { groupsOf } from './idle-peers.ts'
import type { Intake } from './intake.ts'
import type { JobViews } from './job-views.ts'
import { namesOf } from './known-peers.ts'
import type { LiveJob } from './live-job.ts'
import { explainMatch } from './matching/explain.ts'
import type { Candidate } from './matching/expression.ts'
import { clausesOf, wantedOf } from './matching/policy.ts'
import { type PlanDescription, planJob } from './planner.ts'
import type { ResultReader } from './result-reader.ts'
import type { RunningJobs } from './running-jobs.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import type { UnitView } from './scheduler/views.ts'
import type { Standings } from './standings.ts'

type Components = {
  scheduler: Pick<Scheduler, 'unit'>
  jobs: JobStore
  evidence: EvidenceStore
  intake: Pick<Intake, 'compile'>
  running: Pick<RunningJobs, 'live' | 'checkpoints' | 'idleMs'>
  standings: Standings
  views: JobViews
  reader: Pick<ResultReader, 'one'>
  knownPeers(): Candidate[]
  /** Milliseconds, monotonic. */
  now(): number
}

export class Explainer {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** What would become of a job; nothing is run or kept. @throws E_SWEEP_*, E_EXPRESSION, E_JOB_INVALID */
  plan(request: PlanDescription): Plan {
    const { jobs, intake } = this.#components
    const compile = (sweep: PlanDescription['sweep']) => intake.compile({ sweep, retryOf: null })
    return planJob({ ...this.#components, compile, unitTime: (task) => jobs.unitTimes.of(task) }, request)
  }

  /** @throws E_NOT_FOUND */
  job(idOrPrefix: string): JobExplanation {
    const { views, jobs, knownPeers } = this.#components
    const info = views.info(idOrPrefix)
    const { id, name, state, units, accepted, failed, running, waiting, stopped, policy, task, after } = info
    const candidates = knownPeers()
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
      peers: this.#peers(this.#components.running.live.get(id), candidates),
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
    const { views, reader, running, scheduler, now, knownPeers } = this.#components
    const row = views.find(idOrPrefix)
    const sweep = views.sweepOf(row.id)
    checkUnit(sweep, unit)
    const outcome = reader.one(row, unit)
    const job = running.live.get(row.id)
    const view = outcome === null ? scheduler.unit(row.id, unit, now()) : null
    return {
      schema: 'talkoot.explain.unit/1',
      job: row.id,
      unit,
      params: sweep.point(unit),
      state: stateOf(outcome !== null, view, job !== undefined),
      runningMs: view === null || view.reason !== null ? null : view.sinceMs,
      waiting: job === undefined ? null : this.#unitWaits(job, view),
      missing: view?.missing ?? 0,
      attempts: this.#attempts(view),
      checkpoint: outcome === null ? running.checkpoints.lastOf(row.id, unit) : null,
      outcome,
      peers: this.#peers(job, knownPeers()),
    }
  }

  /** A peer known now, by its id; what the mesh knows of it is told elsewhere. @throws E_NOT_FOUND */
  peer(id: string, notes: string[]): PeerExplanation {
    const { running, knownPeers } = this.#components
    const candidate = knownPeers().find((known) => known.id === id)
    if (candidate === undefined) throw new TalkootError('E_NOT_FOUND', `no peer ${id} is connected`)
    const jobs = [...running.live.values()].map((job) => this.#peerInJob(job, candidate))
    const units = jobs.reduce((sum, entry) => sum + entry.units, 0)
    return {
      schema: 'talkoot.explain.peer/1',
      peer: id,
      name: candidate.ad.name,
      self: candidate.trust === 'self',
      state: units > 0 ? 'working' : 'idle',
      units,
      idle: units > 0 ? null : idleReason(candidate, jobs, running.idleMs),
      returnsInMs: candidate.ad.paused?.returnsInMs ?? null,
      jobs,
      notes,
    }
  }

  #peerInJob(job: LiveJob, candidate: Candidate): PeerExplanation['jobs'][number] {
    const { name } = job.manifest
    const [standing] = this.#components.standings.of(job, [candidate])
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

  #unitWaits(job: LiveJob, view: UnitView | null): Reasoned | null {
    if (view === null || view.reason === null) return null
    return reasoned(this.#components.standings.reasonOf(job, view.reason), view.sinceMs)
  }

  #peers(job: LiveJob | undefined, candidates: readonly Candidate[]): JobExplanation['peers'] {
    if (job === undefined) return { known: candidates.length, working: 0, units: 0, idle: [] }
    const standings = this.#components.standings.of(job, candidates)
    return {
      known: candidates.length,
      working: standings.filter(({ units }) => units > 0).length,
      units: standings.reduce((sum, { units }) => sum + units, 0),
      idle: groupsOf(standings),
    }
  }

  #attempts(view: UnitView | null): UnitExplanation['attempts'] {
    const names = namesOf(this.#components.knownPeers())
    return (view?.attempts ?? []).map((attempt) => ({ ...attempt, name: names.get(attempt.peer) ?? '' }))
  }
}

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
