/** The jobs of this node: taken in, scheduled, decided, kept, and read. The thin shell around the scheduler core. */

import type { Ad } from '../../protocol/ad.ts'
import type { JobInfo, JobSummary, ResultRow, ResultsQuery } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, type JobId } from '../../protocol/manifest.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Runtime } from '../runtimes/runtime.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobState, JobStore, StoredJob } from '../store/job-store.ts'
import type { Ledger } from '../store/ledger.ts'
import type { Worker } from '../worker/worker.ts'
import { Changes } from './changes.ts'
import { Comparer } from './comparer.ts'
import { DecisionLog } from './decision-log.ts'
import { Dispatch } from './dispatch.ts'
import { checkPlaceable, Intake, type JobDescription } from './intake.ts'
import { LiveJob } from './live-job.ts'
import type { Candidate } from './matching/expression.ts'
import { ResultReader } from './result-reader.ts'
import type { SchedulerEffect, SchedulerEvent } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'

type Components = {
  scheduler: Scheduler
  ledger: Ledger
  jobs: JobStore
  evidence: EvidenceStore
  blobs: BlobStore
  mesh: Mesh
  worker: Worker
  runtime: Runtime
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
  readonly #components: Components
  readonly #intake: Intake
  readonly #dispatch: Dispatch
  readonly #log: DecisionLog
  readonly #comparer: Comparer
  readonly #reader: ResultReader
  readonly #changes = new Changes<JobId>()
  readonly #live = new Map<JobId, LiveJob>()
  readonly #idsByNumber = new Map<number, JobId>()
  #wake: NodeJS.Timeout | null = null
  #halted: TalkootError | null = null
  #running = false

  constructor(components: Components) {
    this.#components = components
    const { signer, blobs, mesh, worker, ledger, jobs, evidence, runtime, ownAd, random, onError } = components
    this.#intake = new Intake({ signer, blobs }, { mesh: mesh.meshId })
    this.#reader = new ResultReader({ jobs, changes: this.#changes, compile: (sweep) => this.#intake.compile(sweep) })
    this.#comparer = new Comparer({ runtime, blobs, onEvent: (event) => this.#step(event), onError })
    this.#log = new DecisionLog({
      ledger,
      jobs,
      evidence,
      onCommitted: (touched) => this.#committed(touched),
      onHalted: (error) => this.#halt(error),
    })
    this.#dispatch = new Dispatch({
      mesh,
      worker,
      ownAd,
      random,
      onError,
      signedManifest: (job) => this.#signedManifest(job),
      onEvent: (event) => this.#step(event),
      onReceipt: (peer, job, signed) => {
        const live = this.#live.get(job)
        if (live !== undefined) this.#log.add({ kind: 'receipt', job: live.stored.n, peer, signed })
      },
    })
  }

  /** Goes on with every job the ledger says is running. */
  start(): void {
    if (this.#running) return
    this.#running = true
    this.#dispatch.start()
    for (const stored of this.#components.jobs.list()) if (stored.state === 'running') this.#resume(stored)
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#dispatch.stop()
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
    if (this.#live.size >= LIMITS.JOBS_ACTIVE_MAX) {
      throw new TalkootError('E_JOB_INVALID', `${LIMITS.JOBS_ACTIVE_MAX} jobs are running already`)
    }
    const { id, manifest, bytes, signature, sweep } = await this.#intake.sign(description)
    if (!options.queue) checkPlaceable(manifest, this.#knownPeers())
    const stored = jobs.add({ id, units: sweep.size, manifest: bytes, signature, createdMs: wallClock() })
    this.#begin(new LiveJob(stored, manifest, sweep))
    return this.info(id)
  }

  /** Newest first. */
  list(): JobSummary[] {
    return this.#components.jobs.list().map((stored) => {
      const { sweep: _, ...summary } = this.#infoOf(stored)
      return summary
    })
  }

  /** By id or unique prefix. @throws E_NOT_FOUND */
  info(idOrPrefix: string): JobInfo {
    return this.#infoOf(this.#find(idOrPrefix))
  }

  async cancel(idOrPrefix: string): Promise<JobInfo> {
    const { id, n, state } = this.#find(idOrPrefix)
    if (state === 'running') {
      this.#step({ type: 'job.cancelled', job: id })
      this.#end(id, n, 'cancelled')
    }
    return this.info(id)
  }

  /** The job now and after each change, at most some times a second, until it has ended. */
  async *watch(idOrPrefix: string, signal: AbortSignal): AsyncIterable<JobInfo> {
    const { id } = this.#find(idOrPrefix)
    while (!signal.aborted) {
      // Asked for before the look, or a change between the two would be missed.
      const change = this.#changes.next(id, signal)
      const info = this.info(id)
      yield info
      if (info.state !== 'running') return
      await Promise.all([change, pause(LIMITS.PROGRESS_INTERVAL_MS, signal)])
    }
  }

  results(idOrPrefix: string, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow> {
    return this.#reader.read(this.#find(idOrPrefix), query, signal)
  }

  counts(): Record<JobState, number> {
    const counts = { running: 0, done: 0, cancelled: 0 }
    for (const { state } of this.#components.jobs.list()) counts[state] += 1
    return counts
  }

  #resume(stored: StoredJob): void {
    const { manifest } = decodeManifest(stored.manifest)
    const job = new LiveJob(stored, manifest, this.#intake.compile(manifest.sweep))
    this.#components.jobs.eachSettled(stored.n, (unit, seq) => job.settle(unit, seq))
    this.#begin(job)
  }

  #begin(job: LiveJob): void {
    this.#live.set(job.id, job)
    this.#idsByNumber.set(job.stored.n, job.id)
    this.#step({ type: 'job.added', job: job.spec(this.#components.wallClock() - job.stored.createdMs) })
    this.#dispatch.want(this.#live.size > 0)
  }

  #step(event: SchedulerEvent): void {
    const { scheduler, now, onError } = this.#components
    if (!this.#running) return
    if (event.type === 'results') this.#countExecutions(event.job, event.attempts.length)
    try {
      for (const effect of scheduler.step(event, now())) this.#apply(effect)
    } catch (error) {
      onError(error)
    }
    this.#wakeAt(scheduler.nextWake())
  }

  #countExecutions(job: JobId, count: number): void {
    const live = this.#live.get(job)
    if (live !== undefined) this.#log.add({ kind: 'executions', job: live.stored.n, count })
  }

  #wakeAt(at: number | null): void {
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#wake =
      at === null ? null : setTimeout(() => this.#step({ type: 'tick' }), Math.max(1, at - this.#components.now()))
  }

  #apply(effect: SchedulerEffect): void {
    const job = 'job' in effect ? this.#live.get(effect.job) : undefined
    switch (effect.type) {
      case 'run':
        if (job !== undefined) this.#dispatch.run(effect.peer, effect.job, job.inputs(effect.units))
        break
      case 'revoke':
        this.#dispatch.revoke(effect.peer, effect.job, effect.units)
        break
      case 'drop':
        this.#dispatch.drop(effect.peer, effect.code)
        break
      case 'compare':
        if (job !== undefined) this.#comparer.compare(job.manifest, effect)
        break
      case 'evidence':
        if (job !== undefined) {
          const { peer, kind: about, count } = effect
          this.#log.add({ kind: 'evidence', job: job.stored.n, peer, about, count })
        }
        break
      case 'accepted':
      case 'failed':
        if (job !== undefined) this.#decide(job, effect)
        break
      case 'settled':
        if (job !== undefined) this.#end(job.id, job.stored.n, 'done')
        break
    }
  }

  #decide(job: LiveJob, effect: Extract<SchedulerEffect, { type: 'accepted' | 'failed' }>): void {
    const ok = effect.type === 'accepted'
    const digests = new Set(effect.voices.map((voice) => voice.digest ?? voice.code))
    this.#log.add({
      kind: 'result',
      job: job.stored.n,
      result: {
        unit: effect.unit,
        seq: job.settle(effect.unit),
        ok,
        value: ok ? effect.value : effect.message,
        code: ok ? null : effect.code,
        blame: ok ? null : effect.blame,
        voices: effect.voices,
        attempts: effect.attempts,
        disagreed: digests.size > 1,
      },
    })
  }

  #end(id: JobId, n: number, state: Exclude<JobState, 'running'>): void {
    this.#log.add({ kind: 'end', job: n, state, atMs: this.#components.wallClock() })
    this.#log.commit()
    this.#live.delete(id)
    this.#comparer.forget(id)
    this.#dispatch.want(this.#live.size > 0)
    this.#changes.notify(id)
  }

  #committed(touched: ReadonlySet<number>): void {
    for (const n of touched) {
      const id = this.#idsByNumber.get(n)
      if (id !== undefined) this.#changes.notify(id)
    }
  }

  #halt(error: TalkootError | null): void {
    this.#halted = error
    if (error !== null) this.#components.onError(error)
    this.#dispatch.want(error === null && this.#live.size > 0)
  }

  #signedManifest(id: JobId): { manifest: Uint8Array; signature: Uint8Array } | null {
    const job = this.#live.get(id)
    return job === undefined ? null : { manifest: job.stored.manifest, signature: job.stored.signature }
  }

  /** This machine and every peer admitted now. */
  #knownPeers(): Candidate[] {
    const { mesh, ownAd } = this.#components
    const others = mesh
      .peers()
      .map(({ id, role, ad }): Candidate => ({ id, role, trust: role === 'stranger' ? role : 'member', ad }))
    return [{ id: mesh.peerId, role: 'self', trust: 'self', ad: ownAd() }, ...others]
  }

  #find(idOrPrefix: string): StoredJob {
    const found = this.#components.jobs.list().filter(({ id }) => id.startsWith(idOrPrefix))
    const [job] = found
    if (job === undefined || idOrPrefix === '') throw new TalkootError('E_NOT_FOUND', `no job ${idOrPrefix}`)
    if (found.length > 1)
      throw new TalkootError('E_NOT_FOUND', `${found.length} jobs begin with ${idOrPrefix}: give more of the id`)
    return job
  }

  #infoOf(stored: StoredJob): JobInfo {
    const { manifest } = decodeManifest(stored.manifest)
    const live = this.#live.get(stored.id)
    const progress = live === undefined ? null : this.#components.scheduler.progress(stored.id)
    const { name, task, sweep, policy } = manifest
    return {
      schema: 'talkoot.job/1',
      id: stored.id,
      name,
      state: stored.state,
      createdAgoMs: Math.max(0, this.#components.wallClock() - stored.createdMs),
      units: stored.units,
      ...stored.totals,
      running: progress?.running ?? 0,
      waiting: progress?.waiting ?? [],
      peers: this.#peersOf(stored.n),
      task,
      sweep,
      policy,
    }
  }

  #peersOf(job: number): JobInfo['peers'] {
    const names = new Map(this.#knownPeers().map(({ id, ad }) => [id, ad.name]))
    return this.#components.jobs.creditOf(job).map((credit) => ({ ...credit, name: names.get(credit.peer) ?? '' }))
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
