/** The jobs that run: taken up, put through the scheduler step by step, their decisions kept, and ended. */

import type { Ad } from '../../protocol/ad.ts'
import type { TalkootError } from '../../protocol/errors.ts'
import { decodeManifest, type JobId } from '../../protocol/manifest.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { CheckpointFile } from '../store/checkpoint-file.ts'
import type { EvidenceStore } from '../store/evidence.ts'
import type { JobRow, JobState, JobStore, StoredJob } from '../store/job-store.ts'
import type { Ledger } from '../store/ledger.ts'
import type { PeerRuleStore } from '../store/peer-rules.ts'
import type { Worker } from '../worker/worker.ts'
import { Changes } from './changes.ts'
import { Checkpoints } from './checkpoints.ts'
import { Comparer } from './comparer.ts'
import { DecisionLog } from './decision-log.ts'
import { Dispatch } from './dispatch.ts'
import { Effects } from './effects.ts'
import { Gates } from './gates.ts'
import type { Intake } from './intake.ts'
import type { JobTrees } from './job-trees.ts'
import { LiveJob } from './live-job.ts'
import { Moves } from './moves.ts'
import { tookOf } from './planner.ts'
import { Recall } from './recall.ts'
import type { SchedulerEvent } from './scheduler/events.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import { keepSpent } from './spending.ts'
import { type Step, Stepper } from './stepper.ts'
import type { UnitFilesOfJobs } from './unit-files.ts'
import type { Beside } from './worker-session.ts'

export type RunningJobsComponents = {
  scheduler: Scheduler
  ledger: Ledger
  jobs: JobStore
  evidence: EvidenceStore
  rules: PeerRuleStore
  blobs: BlobStore
  checkpointFile: CheckpointFile
  trees: JobTrees
  unitFiles: UnitFilesOfJobs
  intake: Pick<Intake, 'compile'>
  mesh: Mesh
  worker: Worker
  runtimes: Pick<Runtimes, 'open'>
  ownAd(): Ad
  /** Milliseconds, monotonic. */
  now(): number
  /** This machine's wall clock, for ages only. */
  wallClock(): number
  random(): number
  onError(error: unknown): void
}

export class RunningJobs {
  /** Of what the ledger keeps, by job; and of what the scheduler is at, all jobs together. */
  readonly changes = new Changes<JobId>()
  readonly moves = new Moves()
  readonly checkpoints: Checkpoints
  readonly #components: RunningJobsComponents
  readonly #stepper: Stepper
  readonly #gates: Gates
  readonly #comparer: Comparer
  readonly #log: DecisionLog
  readonly #dispatch: Dispatch
  readonly #recall: Recall
  readonly #effects: Effects
  readonly #live = new Map<JobId, LiveJob>()
  /** Also of a job that has ended, until its end is written. */
  readonly #idsByNumber = new Map<number, JobId>()
  #halt: { error: TalkootError; at: number } | null = null
  /** When the last job ended. */
  #idleSince: number

  constructor(components: RunningJobsComponents) {
    this.#components = components
    this.#idleSince = components.now()
    const live = this.#live
    const onEvent = (event: SchedulerEvent, beside?: Beside): void => this.#stepper.step(event, beside)
    this.#stepper = new Stepper({
      ...components,
      onStep: (step) => this.#stepped(step),
      // Without a ledger time stands still: what it would decide could not be kept.
      mayWake: () => this.#halt === null,
    })
    this.#gates = new Gates({
      ...components,
      onGate: (job, gate) => {
        onEvent({ type: 'job.gate', job, gate })
        this.#updateWanted()
      },
    })
    this.#comparer = new Comparer({ ...components, onEvent })
    this.#log = new DecisionLog({
      ...components,
      onCommitted: (touched) => this.#committed(touched),
      onHalted: (error) => this.#ledgerHalted(error),
    })
    this.checkpoints = new Checkpoints({ ...components, policyOf: (job) => live.get(job)?.manifest.policy })
    this.#dispatch = new Dispatch({ ...components, live, checkpoints: this.checkpoints, onEvent })
    this.#recall = new Recall({ ...components, log: this.#log, onEvent })
    this.#effects = new Effects({
      live,
      gates: this.#gates,
      dispatch: this.#dispatch,
      comparer: this.#comparer,
      log: this.#log,
      recall: this.#recall,
      onSettled: ({ id, stored }) => this.#end(id, stored.n, 'done'),
    })
  }

  /** Goes on with every job the ledger says is running. */
  start(): void {
    if (this.#stepper.running) return
    this.#stepper.start()
    this.checkpoints.restore(this.#components.checkpointFile.take())
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
    this.#leaveCheckpoints()
  }

  get live(): ReadonlyMap<JobId, LiveJob> {
    return this.#live
  }

  /** Why no work is given out, and for how long, if so. */
  get halted(): { error: TalkootError; sinceMs: number } | null {
    return this.#halt && { error: this.#halt.error, sinceMs: this.#components.now() - this.#halt.at }
  }

  /** How long no job has been running, if none is. */
  get idleMs(): number {
    return this.#components.now() - this.#idleSince
  }

  /** A job that is in the ledger. */
  begin(job: LiveJob): void {
    if (!this.#stepper.running) return
    const { trees, evidence, wallClock } = this.#components
    this.#live.set(job.id, job)
    trees.keep(job.id, job.manifest.task)
    this.#idsByNumber.set(job.stored.n, job.id)
    const gate = this.#gates.watch(job.id, job.manifest.after)
    const now = wallClock()
    const catches = evidence.catchesIn(job.stored.n, now)
    this.#stepper.step({ type: 'job.added', job: job.spec({ ageMs: now - job.stored.createdMs, gate, catches }) })
    this.#updateWanted()
  }

  cancel({ id, n }: JobRow): void {
    this.#stepper.step({ type: 'job.cancelled', job: id })
    this.#end(id, n, 'cancelled')
  }

  /** @throws E_DISK_FULL */
  hold(job: JobRow): void {
    this.#gates.hold(job)
  }

  /** @throws E_DISK_FULL */
  release(job: JobRow): void {
    this.#gates.release(job)
  }

  /** What this machine offers has changed. */
  ownAdChanged(): void {
    this.#dispatch.ownAdChanged()
  }

  /** A job whose rows are gone from the disk keeps nobody else from going on; it can still be cancelled. */
  #resume(stored: StoredJob): void {
    const { jobs, intake, onError } = this.#components
    try {
      const { manifest } = decodeManifest(stored.manifest)
      const job = new LiveJob(stored, manifest, intake.compile(manifest))
      jobs.results.eachDecided(stored.n, (unit, seq, stands) => {
        job.settle(unit, seq)
        if (!stands) job.reopen(unit)
      })
      this.begin(job)
    } catch (error) {
      onError(error)
    }
  }

  #leaveCheckpoints(): void {
    try {
      this.#components.checkpointFile.write(this.checkpoints.all())
    } catch (error) {
      // Their units begin anew.
      this.#components.onError(error)
    }
  }

  #stepped(step: Step): void {
    const { scheduler, unitFiles, onError } = this.#components
    keepSpent({ live: this.#live, log: this.#log, scheduler }, step)
    for (const effect of step.effects) {
      try {
        this.#effects.apply(effect)
      } catch (error) {
        onError(error)
      }
    }
    unitFiles.loose.heard(step, (id, unit) => this.#live.get(id)?.isSettled(unit) ?? true)
    if (this.#log.isWritten) unitFiles.loose.written()
    this.moves.tell(step)
  }

  #end(id: JobId, n: number, state: Exclude<JobState, 'running'>): void {
    const { scheduler, trees, unitFiles, now, wallClock } = this.#components
    this.#idsByNumber.set(n, id)
    const took = tookOf(this.#live.get(id), scheduler.progress(id))
    this.#live.delete(id)
    this.#gates.forget(id)
    trees.forget(id)
    unitFiles.loose.ended(id)
    this.#idleSince = now()
    this.#log.add({ kind: 'end', job: n, state, atMs: wallClock(), ...took })
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
      this.changes.notify(id)
      this.moves.notify(id)
      if (this.#live.has(id)) continue
      this.#idsByNumber.delete(n)
      this.#gates.ended(id)
    }
  }

  #ledgerHalted(error: TalkootError | null): void {
    this.#halt = error && { error, at: this.#components.now() }
    if (error !== null) this.#components.onError(error)
    this.#updateWanted()
    if (error === null) this.#stepper.step({ type: 'tick' })
  }

  /** Work is asked for while there is some and its results can be kept. */
  #updateWanted(): void {
    this.#dispatch.want(this.#halt === null && this.#gates.someOpen)
  }
}
