/**
 * Asks a task's own `agree` whether two results are the same: one question at a time, in one sandbox of this machine,
 * the jobs in turn.
 */

import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId, Manifest } from '../../protocol/manifest.ts'
import type { Sandbox } from '../runtimes/runtime.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import type { BlobStore } from '../store/blobs.ts'
import { sandboxInit } from './sandbox-init.ts'
import type { SchedulerEffect, SchedulerEvent } from './scheduler/events.ts'

type Question = Extract<SchedulerEffect, { type: 'compare' }>

type Components = {
  runtimes: Pick<Runtimes, 'open'>
  blobs: BlobStore
  /** Milliseconds, monotonic. */
  now(): number
  onEvent(event: SchedulerEvent): void
  onError(error: unknown): void
}

/** What this machine does wrong, not the task: asked once more before honest peers are called liars for it. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set(['E_UNIT_CRASHED', 'E_RUNTIME_MISSING'])

/** The questions of one job; `forgotten` aborts when nobody waits for the answers. */
type Asked = { manifest: Manifest; questions: Question[]; forgotten: AbortController }

export class Comparer {
  readonly #components: Components
  /** In the order of their turn. */
  readonly #jobs = new Map<JobId, Asked>()
  #working: Promise<void> | null = null
  #stopped = false

  constructor(components: Components) {
    this.#components = components
  }

  /** The answer comes as a `compared` event. A comparison that fails counts as "not the same". */
  compare(manifest: Manifest, question: Question): void {
    if (this.#stopped) return
    const asked = this.#jobs.get(question.job) ?? { manifest, questions: [], forgotten: new AbortController() }
    this.#jobs.set(question.job, asked)
    asked.questions.push(question)
    this.#working ??= this.#work()
  }

  forget(job: JobId): void {
    this.#jobs.get(job)?.forgotten.abort()
    this.#jobs.delete(job)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const job of [...this.#jobs.keys()]) this.forget(job)
    await this.#working
  }

  async #work(): Promise<void> {
    for (let next = this.#nextJob(); next !== null; next = this.#nextJob()) {
      await this.#serve(...next).catch(this.#components.onError)
    }
    this.#working = null
  }

  /** Takes the job whose turn it is to the end of the line. */
  #nextJob(): [JobId, Asked] | null {
    const [next] = this.#jobs
    if (next === undefined) return null
    this.#jobs.delete(next[0])
    if (next[1].questions.length === 0) return this.#nextJob()
    this.#jobs.set(...next)
    return next
  }

  /** Answers the questions of one job until there are none, or for a quantum if others wait. */
  async #serve(job: JobId, { manifest, questions, forgotten }: Asked): Promise<void> {
    const { now, onEvent } = this.#components
    const leaveAt = now() + LIMITS.SLOT_QUANTUM_MS
    const sandbox = this.#open(manifest)
    try {
      while (!forgotten.signal.aborted && (now() < leaveAt || this.#jobs.size === 1)) {
        const question = questions.shift()
        if (question === undefined) return
        const { unit, a, b } = question
        const same = await this.#ask(sandbox, question, forgotten.signal)
        if (!forgotten.signal.aborted) onEvent({ type: 'compared', job, unit, a: a.digest, b: b.digest, same })
      }
    } finally {
      await sandbox?.close()
    }
  }

  async #ask(sandbox: Sandbox | null, { a, b }: Question, signal: AbortSignal): Promise<boolean> {
    for (let triesLeft = 1; sandbox !== null; triesLeft -= 1) {
      try {
        return await sandbox.agree(a.value, b.value, signal)
      } catch (thrown) {
        if (signal.aborted) return false
        this.#components.onError(thrown)
        if (triesLeft === 0 || !OWN_FAULTS.has(TalkootError.from(thrown).code)) return false
      }
    }
    return false
  }

  /** Null when the task is gone from this machine, or there is no runtime for it. */
  #open(manifest: Manifest): Sandbox | null {
    const { runtimes, blobs, onError } = this.#components
    try {
      return runtimes.open(manifest.task.runtime, sandboxInit(manifest, blobs))
    } catch (error) {
      onError(error)
      return null
    }
  }
}
