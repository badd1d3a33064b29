/** The jobs of this node, as its API asks for them: taken in, read, watched, held, ended. */

import { setTimeout as wait } from 'node:timers/promises'
import type { JobInfo, JobSummary, ResultRow, ResultsQuery } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { JobState } from '../store/job-store.ts'
import { Explainer } from './explainer.ts'
import { checkPlaceable, Intake, type JobDescription } from './intake.ts'
import { JobViews } from './job-views.ts'
import { knownPeers } from './known-peers.ts'
import { LiveJob } from './live-job.ts'
import { ResultReader } from './result-reader.ts'
import { type RetryRequest, retryOf } from './retry.ts'
import { RunningJobs, type RunningJobsComponents } from './running-jobs.ts'
import { Standings } from './standings.ts'

type Components = Omit<RunningJobsComponents, 'intake'> & { signer: Signer }

export class JobService {
  readonly explain: Explainer
  readonly #components: Components
  readonly #intake: Intake
  readonly #running: RunningJobs
  readonly #views: JobViews
  readonly #reader: ResultReader

  constructor(components: Components) {
    this.#components = components
    const intake = new Intake(components, { mesh: components.mesh.meshId })
    const running = new RunningJobs({ ...components, intake })
    const parts = { ...components, intake, running, knownPeers: () => knownPeers(components) }
    const standings = new Standings(parts)
    const views = new JobViews({ ...parts, standings })
    const reader = new ResultReader({
      ...parts,
      changes: running.changes,
      sweepOf: (id) => views.sweepOf(id),
      mayChange: (id) => views.manifestOf(id).policy.verify.kind === 'confidence',
    })
    this.explain = new Explainer({ ...parts, standings, views, reader })
    this.#intake = intake
    this.#running = running
    this.#views = views
    this.#reader = reader
  }

  /** Goes on with every job the ledger says is running. */
  start(): void {
    this.#running.start()
  }

  async stop(): Promise<void> {
    await this.#running.stop()
  }

  /** Why no work is given out, if so. */
  get halted(): TalkootError | null {
    return this.#running.halted?.error ?? null
  }

  /**
   * Signs and keeps a job: it is on disk when this returns. With `queue`, also one that nobody can run now.
   * @throws UnplaceableError, and what Intake.sign throws
   */
  async submit(description: JobDescription, options: { queue: boolean }): Promise<JobInfo> {
    const { jobs, trees, wallClock } = this.#components
    const after = description.after.map((job) => this.#views.find(job).id)
    const { id, manifest, bytes, signature, sweep } = await this.#intake.sign({ ...description, after })
    await trees.check(description.task)
    if (this.#running.live.size >= LIMITS.JOBS_ACTIVE_MAX) {
      throw new TalkootError('E_JOB_INVALID', `${LIMITS.JOBS_ACTIVE_MAX} jobs are running already`)
    }
    if (!options.queue) checkPlaceable(manifest, knownPeers(this.#components))
    const stored = jobs.add({ id, units: sweep.count, manifest: bytes, signature, createdMs: wallClock() })
    this.#running.begin(new LiveJob(stored, manifest, sweep))
    return this.info(id)
  }

  /** A new job of the units that have failed by now. @throws E_NOT_FOUND, E_JOB_INVALID, and as `submit` */
  async retry(idOrPrefix: string, request: RetryRequest, options: { queue: boolean }): Promise<JobInfo> {
    const row = this.#views.find(idOrPrefix)
    return await this.submit(retryOf(this.#components.jobs, row, this.#views.manifestOf(row.id), request), options)
  }

  /** Newest first. */
  list(): JobSummary[] {
    return this.#views.list()
  }

  /** By id or unique prefix. @throws E_NOT_FOUND */
  info(idOrPrefix: string): JobInfo {
    return this.#views.info(idOrPrefix)
  }

  /** What attempts at a unit left beside their ends. @throws E_NOT_FOUND */
  logs(idOrPrefix: string, unit: number): UnitLogs {
    return this.#views.logs(idOrPrefix, unit)
  }

  results(idOrPrefix: string, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow[]> {
    return this.#reader.read(this.#views.find(idOrPrefix), query, signal)
  }

  /** The job now and after each change, at most some times a second, until it has ended. */
  async *watch(idOrPrefix: string, signal: AbortSignal): AsyncIterable<JobInfo> {
    const { id } = this.#views.find(idOrPrefix)
    using watch = this.#running.moves.watch(id)
    while (!signal.aborted) {
      const info = this.info(id)
      yield info
      if (info.state !== 'running' || info.stopped !== null) return
      await watch.next(signal)
      await wait(LIMITS.PROGRESS_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Neither this nor the next two change a job that has ended. @throws E_NOT_FOUND */
  async cancel(idOrPrefix: string): Promise<JobInfo> {
    const row = this.#views.find(idOrPrefix)
    if (row.state === 'running') this.#running.cancel(row)
    return this.info(row.id)
  }

  /** Durable. @throws E_NOT_FOUND, E_DISK_FULL */
  hold(idOrPrefix: string): JobInfo {
    const row = this.#views.find(idOrPrefix)
    if (row.state === 'running') this.#running.hold(row)
    return this.info(row.id)
  }

  /** @throws E_NOT_FOUND, E_DISK_FULL */
  release(idOrPrefix: string): JobInfo {
    const row = this.#views.find(idOrPrefix)
    if (row.state === 'running') this.#running.release(row)
    return this.info(row.id)
  }

  /** What this machine offers has changed. */
  ownAdChanged(): void {
    this.#running.ownAdChanged()
  }

  counts(): Record<JobState, number> {
    return this.#components.jobs.counts()
  }
}
