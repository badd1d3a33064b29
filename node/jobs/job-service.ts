/** The jobs of this node: taken in, scheduled, decided, kept, and read. The thin shell around the scheduler core. */

import { setTimeout as wait } from 'node:timers/promises'
import type { Ad } from '../../protocol/ad.ts'
import type { JobInfo, JobSummary, ResultRow, ResultsQuery } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, type JobId } from '../../protocol/manifest.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobState, JobStore, StoredJob } from '../store/job-store.ts'
import type { Ledger } from '../store/ledger.ts'
import type { PeerRuleStore } from '../store/peer-rules.ts'
import type { Worker } from '../worker/worker.ts'
import { Changes } from './changes.ts'
import { Checkpoints } from './checkpoints.ts'
import { Comparer } from './comparer.ts'
import { DecisionLog } from './decision-log.ts'
import { Dispatch } from './dispatch.ts'
import { Effects } from './effects.ts'
import { Explainer } from './explainer.ts'
import { Gates } from './gates.ts'
import { checkPlaceable, Intake, type JobDescription } from './intake.ts'
import type { JobTrees } from './job-trees.ts'
import { JobViews } from './job-views.ts'
import { knownPeers } from './known-peers.ts'
import { LiveJob } from './live-job.ts'
import { Moves } from './moves.ts'
import { tookOf } from './planner.ts'
import { Recall } from './recall.ts'
import { ResultReader } from './result-reader.ts'
import { type RetryRequest, retryOf } from './retry.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import { keepSpent } from './spending.ts'
import { type Step, Stepper } from './stepper.ts'
import type { UnitFilesOfJobs } from './unit-files.ts'

type Components = {
  scheduler: Scheduler
  ledger: Ledger
  jobs: JobStore
  evidence: EvidenceStore
  rules: PeerRuleStore
  blobs: BlobStore
  trees: JobTrees
  unitFiles: UnitFilesOfJobs
  mesh: Mesh
  worker: Worker
  runtimes: Pick<Runtimes, 'open'>
  signer: Signer
  ownAd(): Ad
  /** Milliseconds, monotonic. */
  now(): number
  /** This machine's wall clock, for ages only. */
  wallClock(): number
  random(): number
  onError(error: unknown): void
}

export class JobService {
  readonly explain: Explainer
  readonly #components: Components
  readonly #intake: Intake
  readonly #dispatch: Dispatch
  readonly #log: DecisionLog
  readonly #comparer: Comparer
  readonly #recall: Recall
  readonly #effects: Effects
  readonly #reader: ResultReader
  readonly #views: JobViews
  readonly #gates: Gates
  readonly #stepper: Stepper
  /** Of what the ledger keeps, by job; and of what the scheduler is at, all jobs together. */
  readonly #changes = new Changes<JobId>()
  readonly #moves = new Moves()
  readonly #live = new Map<JobId, LiveJob>()
  readonly #idsByNumber = new Map<number, JobId>()
  #halted: TalkootError | null = null
  #haltedAt = 0
  /** When the last job ended. */
  #idleSince: number

  constructor(components: Components) {
    this.#components = components
    const { signer, blobs, mesh, worker, ledger, jobs, evidence, scheduler } = components
    const { runtimes, ownAd, now, wallClock, random, onError } = components
    this.#idleSince = now()
    this.#stepper = new Stepper({
      scheduler,
      now,
      onStep: (step) => this.#stepped(step),
      // Without a ledger time stands still: what it would decide could not be kept.
      mayWake: () => this.#halted === null,
      onError,
    })
    this.#intake = new Intake({ signer, blobs }, { mesh: mesh.meshId })
    this.#views = new JobViews({
      jobs,
      progress: (job) => this.explain.progress(job),
      sweepOf: (id) => sweepOf(id),
      peerNames: () => new Map(knownPeers(components).map(({ id, ad }) => [id, ad.name])),
      wallClock,
    })
    const sweepOf = (id: JobId) => this.#live.get(id)?.sweep ?? this.#intake.compile(this.#views.manifestOf(id))
    this.#reader = new ResultReader({
      jobs,
      changes: this.#changes,
      sweepOf,
      mayChange: (id) => this.#views.manifestOf(id).policy.verify.kind === 'confidence',
    })
    const checkpoints = new Checkpoints({ scheduler, now, policyOf: (job) => this.#live.get(job)?.manifest.policy })
    this.explain = new Explainer({
      checkpoints,
      scheduler,
      jobs,
      evidence,
      compile: (sweep) => this.#intake.compile({ sweep, retryOf: null }),
      views: this.#views,
      live: this.#live,
      knownPeers: () => knownPeers(components),
      halted: () => (this.#halted === null ? null : { sinceMs: now() - this.#haltedAt }),
      decided: (job, unit) => this.#reader.one(job, unit),
      sweepOf,
      idleMs: () => now() - this.#idleSince,
      now,
    })
    this.#gates = new Gates({
      jobs,
      wallClock,
      onGate: (job, gate) => {
        this.#stepper.step({ type: 'job.gate', job, gate })
        this.#updateWanted()
      },
    })
    this.#comparer = new Comparer({ runtimes, blobs, now, onEvent: (event) => this.#stepper.step(event), onError })
    this.#log = new DecisionLog({
      ledger,
      jobs,
      evidence,
      now,
      wallClock,
      onCommitted: (touched) => this.#committed(touched),
      onHalted: (error) => this.#halt(error),
    })
    this.#dispatch = new Dispatch({
      mesh,
      worker,
      rules: components.rules,
      ownAd,
      random,
      onError,
      signedManifest: (job) => this.#live.get(job)?.signed ?? null,
      sweepOf: (job) => this.#live.get(job)?.sweep ?? null,
      fetchFiles: (id, peer, end) => {
        const job = this.#live.get(id)
        return job === undefined ? null : components.unitFiles.fetch(peer, { job: id, task: job.manifest.task }, end)
      },
      checkpoints,
      onEvent: (event, beside) => this.#stepper.step(event, beside),
    })
    this.#recall = new Recall({
      jobs,
      evidence,
      log: this.#log,
      onEvent: (event) => this.#stepper.step(event),
      onError,
    })
    this.#effects = new Effects({
      live: this.#live,
      dispatch: this.#dispatch,
      comparer: this.#comparer,
      log: this.#log,
      recall: this.#recall,
      onSettled: ({ id, stored }) => this.#end(id, stored.n, 'done'),
      onStopped: ({ stored }, finding) => this.#gates.stop(stored, finding),
    })
  }

  /** Goes on with every job the ledger says is running. */
  start(): void {
    if (this.#stepper.running) return
    this.#stepper.start()
    this.#dispatch.start()
    for (const stored of this.#components.jobs.running()) this.#resume(stored)
  }

  async stop(): Promise<void> {
    if (!this.#stepper.running) return
    this.#stepper.stop()
    this.#dispatch.stop()
    this.#recall.stop()
    this.#log.stop()
    await this.#comparer.stop()
  }

  /** Why no work is given out, if so. */
  get halted(): TalkootError | null {
    return this.#halted
  }

  /**
   * Signs and keeps a job: it is on disk when this returns. With `queue`, also one that nobody can run now.
   * @throws UnplaceableError, and what Intake.sign throws
   */
  async submit(description: JobDescription, options: { queue: boolean }): Promise<JobInfo> {
    const { jobs, wallClock } = this.#components
    const after = description.after.map((job) => this.#views.find(job).id)
    const { id, manifest, bytes, signature, sweep } = await this.#intake.sign({ ...description, after })
    await this.#components.trees.check(description.task)
    if (this.#live.size >= LIMITS.JOBS_ACTIVE_MAX) {
      throw new TalkootError('E_JOB_INVALID', `${LIMITS.JOBS_ACTIVE_MAX} jobs are running already`)
    }
    if (!options.queue) checkPlaceable(manifest, knownPeers(this.#components))
    const stored = jobs.add({ id, units: sweep.count, manifest: bytes, signature, createdMs: wallClock() })
    if (this.#stepper.running) this.#begin(new LiveJob(stored, manifest, sweep))
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

  async cancel(idOrPrefix: string): Promise<JobInfo> {
    const { id, n, state } = this.#views.find(idOrPrefix)
    if (state === 'running') {
      this.#stepper.step({ type: 'job.cancelled', job: id })
      this.#end(id, n, 'cancelled')
    }
    return this.info(id)
  }

  /** Durable; does nothing to a job that has ended. @throws E_NOT_FOUND, E_DISK_FULL */
  hold(idOrPrefix: string): JobInfo {
    const row = this.#views.find(idOrPrefix)
    if (row.state === 'running') this.#gates.hold(row)
    return this.info(row.id)
  }

  /** @throws E_NOT_FOUND, E_DISK_FULL */
  release(idOrPrefix: string): JobInfo {
    const row = this.#views.find(idOrPrefix)
    if (row.state === 'running') this.#gates.release(row)
    return this.info(row.id)
  }

  /** The job now and after each change, at most some times a second, until it has ended. */
  async *watch(idOrPrefix: string, signal: AbortSignal): AsyncIterable<JobInfo> {
    const { id } = this.#views.find(idOrPrefix)
    using watch = this.#moves.watch(id)
    while (!signal.aborted) {
      const info = this.info(id)
      yield info
      if (info.state !== 'running' || info.stopped !== null) return
      await watch.next(signal)
      await wait(LIMITS.PROGRESS_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  results(idOrPrefix: string, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow> {
    return this.#reader.read(this.#views.find(idOrPrefix), query, signal)
  }

  /** What attempts at a unit left beside their ends. @throws E_NOT_FOUND */
  logs(idOrPrefix: string, unit: number): UnitLogs {
    return this.#views.logs(idOrPrefix, unit)
  }

  /** What this machine offers has changed. */
  ownAdChanged(): void {
    this.#dispatch.ownAdChanged()
  }

  counts(): Record<JobState, number> {
    return this.#components.jobs.counts()
  }

  /** A job whose rows are gone from the disk keeps nobody else from going on; it can still be cancelled. */
  #resume(stored: StoredJob): void {
    try {
      const { manifest } = decodeManifest(stored.manifest)
      const job = new LiveJob(stored, manifest, this.#intake.compile(manifest))
      this.#components.jobs.results.eachDecided(stored.n, (unit, seq, stands) => {
        job.settle(unit, seq)
        if (!stands) job.reopen(unit)
      })
      this.#begin(job)
    } catch (error) {
      this.#components.onError(error)
    }
  }

  #begin(job: LiveJob): void {
    this.#live.set(job.id, job)
    this.#components.trees.keep(job.id, job.manifest.task)
    this.#idsByNumber.set(job.stored.n, job.id)
    const gate = this.#gates.watch(job.id, job.manifest.after)
    const now = this.#components.wallClock()
    const catches = this.#components.evidence.catchesIn(job.stored.n, now)
    this.#stepper.step({ type: 'job.added', job: job.spec({ ageMs: now - job.stored.createdMs, gate, catches }) })
    this.#updateWanted()
  }

  #stepped({ event, effects, beside }: Step): void {
    const { scheduler, unitFiles, onError } = this.#components
    keepSpent({ live: this.#live, log: this.#log, scheduler }, { event, effects, beside })
    for (const effect of effects) {
      try {
        this.#effects.apply(effect)
      } catch (error) {
        onError(error)
      }
    }
    unitFiles.loose.heard({ event, effects }, (id, unit) => this.#live.get(id)?.isSettled(unit) ?? true)
    if (this.#log.isWritten) unitFiles.loose.written()
    this.#moves.tell(event, effects)
  }

  #end(id: JobId, n: number, state: Exclude<JobState, 'running'>): void {
    this.#idsByNumber.set(n, id)
    const took = tookOf(this.#live.get(id), this.#components.scheduler.progress(id))
    this.#live.delete(id)
    this.#gates.forget(id)
    this.#components.trees.forget(id)
    this.#components.unitFiles.loose.ended(id)
    this.#idleSince = this.#components.now()
    this.#log.add({ kind: 'end', job: n, state, atMs: this.#components.wallClock(), ...took })
    this.#log.commit()
    this.#comparer.forget(id)
    this.#dispatch.forget(id)
    this.#updateWanted()
  }

  #committed(touched: ReadonlySet<number>): void {
    this.#components.unitFiles.loose.written()
    for (const n of touched) {
      const id = this.#idsByNumber.get(n)
      if (id === undefined) continue
      this.#changes.notify(id)
      this.#moves.notify(id)
      if (this.#live.has(id)) continue
      this.#idsByNumber.delete(n)
      this.#gates.ended(id)
    }
  }

  #halt(error: TalkootError | null): void {
    this.#halted = error
    this.#haltedAt = this.#components.now()
    if (error !== null) this.#components.onError(error)
    this.#updateWanted()
    if (error === null) this.#stepper.step({ type: 'tick' })
  }

  /** Work is asked for while there is some and its results can be kept. */
  #updateWanted(): void {
    this.#dispatch.want(this.#halted === null && this.#gates.someOpen)
  }
}
