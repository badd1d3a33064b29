/** Jobs as a person looks at them: what the ledger says, what the scheduler is at, and the names of the peers. */

import type { JobInfo, JobSummary } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { decodeManifest, type JobId, type Manifest } from '../../protocol/manifest.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import { type CompiledSweep, checkUnit } from '../../protocol/sweep/generator.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import { findingOf } from './finding.ts'
import type { Intake } from './intake.ts'
import { namesOf } from './known-peers.ts'
import type { Candidate } from './matching/expression.ts'
import type { RunningJobs } from './running-jobs.ts'
import type { Standings } from './standings.ts'

type Components = {
  jobs: JobStore
  intake: Pick<Intake, 'compile'>
  running: Pick<RunningJobs, 'live'>
  standings: Pick<Standings, 'progress'>
  knownPeers(): Candidate[]
  /** This machine's wall clock, for ages only. */
  wallClock(): number
}

/** What of a manifest is short. */
type Brief = Pick<JobSummary, 'name' | 'task' | 'policy' | 'after' | 'retryOf'>

export class JobViews {
  readonly #components: Components
  /** Never changes; one for each job ever listed, as in the list itself. */
  readonly #briefs = new Map<JobId, Brief>()

  constructor(components: Components) {
    this.#components = components
  }

  /** By id or unique prefix. @throws E_NOT_FOUND */
  find(idOrPrefix: string): JobRow {
    const [job, another] = idOrPrefix === '' ? [] : this.#components.jobs.find(idOrPrefix)
    if (job === undefined) throw new TalkootError('E_NOT_FOUND', `no job ${idOrPrefix}`)
    if (another !== undefined) {
      throw new TalkootError('E_NOT_FOUND', `several jobs begin with ${idOrPrefix}: give more of the id`)
    }
    return job
  }

  info(idOrPrefix: string): JobInfo {
    const job = this.find(idOrPrefix)
    return { ...this.#summary(job, this.#names()), sweep: this.manifestOf(job.id).sweep }
  }

  /** Newest first. */
  list(): JobSummary[] {
    const names = this.#names()
    const jobs = this.#components.jobs.list()
    // Some were removed: those that are still there are read once more.
    if (jobs.length < this.#briefs.size) this.#briefs.clear()
    return jobs.map((job) => this.#summary(job, names))
  }

  /** @throws E_NOT_FOUND */
  logs(idOrPrefix: string, unit: number): UnitLogs {
    const { id, n } = this.find(idOrPrefix)
    checkUnit(this.sweepOf(id), unit)
    const names = this.#names()
    const attempts = this.#components.jobs.reports
      .of(n, unit)
      .map(({ peer, report: { unit: _, ...told } }) => ({ ...told, peer, name: names.get(peer) ?? '' }))
    return { schema: 'talkoot.logs/1', job: id, unit, attempts }
  }

  manifestOf(id: JobId): Manifest {
    const stored = this.#components.jobs.get(id)
    if (stored === null) throw new TalkootError('E_NOT_FOUND', `no job ${id}`)
    return decodeManifest(stored.manifest).manifest
  }

  sweepOf(id: JobId): CompiledSweep {
    const { running, intake } = this.#components
    return running.live.get(id)?.sweep ?? intake.compile(this.manifestOf(id))
  }

  #names(): ReadonlyMap<string, string> {
    return namesOf(this.#components.knownPeers())
  }

  #summary(
    { n, id, state, createdMs, heldMs, finding, units, totals }: JobRow,
    names: ReadonlyMap<string, string>,
  ): JobSummary {
    const progress = this.#components.standings.progress(id)
    const peers = this.#components.jobs.creditOf(n)
    const { errorSum, ...counts } = totals
    const brief = this.#briefOf(id)
    return {
      schema: 'talkoot.job/1',
      id,
      state,
      createdAgoMs: Math.max(0, this.#components.wallClock() - createdMs),
      heldForMs: heldMs === null || state !== 'running' ? null : Math.max(0, this.#components.wallClock() - heldMs),
      stopped: state === 'running' ? findingOf({ finding }) : null,
      units,
      ...counts,
      expectedWrong: brief.policy.verify.kind === 'confidence' ? errorSum : null,
      running: progress?.running ?? 0,
      waiting: progress?.waiting ?? [],
      peers: peers.map((credit) => ({ ...credit, name: names.get(credit.peer) ?? '' })),
      ...brief,
    }
  }

  #briefOf(id: JobId): Brief {
    const known = this.#briefs.get(id)
    if (known !== undefined) return known
    const { name, task, policy, after, retryOf } = this.manifestOf(id)
    const brief = { name, task, policy, after, retryOf: retryOf?.job ?? null }
    this.#briefs.set(id, brief)
    return brief
  }
}
