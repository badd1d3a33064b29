/** The slots of this machine: each runs one unit at a time, in a sandbox that stays warm for one job. */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Runtime, Sandbox, UnitInput } from '../runtimes/runtime.ts'
import type { AdmittedJob, Desk } from './desk.ts'

type Components = {
  runtime: Runtime
  /** Desks that may have work, in the order of their turn. */
  desks(): Iterable<Desk>
  /** Milliseconds, monotonic. */
  now(): number
  onError(error: unknown): void
}

type Work = { desk: Desk; job: AdmittedJob }

export class Slots {
  readonly #components: Components
  readonly #size: number
  readonly #memoryMiB: number
  readonly #stopping = new AbortController()
  readonly #loops: Promise<void>[] = []
  #wakers: (() => void)[] = []
  #busy = 0
  #memoryTakenMiB = 0
  #total = 0
  /** Counts up with each turn taken, so that jobs waiting for a slot get theirs in rotation. */
  #turn = 0
  readonly #lastTurn = new WeakMap<AdmittedJob, number>()

  constructor(components: Components, init: { slots: number; memoryMiB: number }) {
    this.#components = components
    this.#size = init.slots
    this.#memoryMiB = init.memoryMiB
  }

  get size(): number {
    return this.#size
  }

  get busy(): number {
    return this.#busy
  }

  /** Units run since the start. */
  get total(): number {
    return this.#total
  }

  start(): void {
    for (let i = 0; i < this.#size; i++) this.#loops.push(this.#loop())
  }

  /** Call when units may have become ready. */
  wake(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.wake()
    await Promise.all(this.#loops)
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const work = this.#choose()
      if (work === null) {
        await new Promise<void>((resolve) => this.#wakers.push(resolve))
        continue
      }
      this.#memoryTakenMiB += work.job.policy.memoryMiB
      try {
        await this.#stay(work)
      } catch (error) {
        this.#components.onError(error)
      } finally {
        this.#memoryTakenMiB -= work.job.policy.memoryMiB
        this.wake()
      }
    }
  }

  /** The job whose last turn is longest ago, among those whose memory fits beside what runs. */
  #choose(): Work | null {
    if (this.#stopping.signal.aborted) return null
    let best: Work | null = null
    for (const desk of this.#components.desks()) {
      for (const job of desk.ready()) {
        if (this.#memoryTakenMiB + job.policy.memoryMiB > this.#memoryMiB) continue
        if (best === null || this.#turnOf(job) < this.#turnOf(best.job)) best = { desk, job }
      }
    }
    if (best !== null) this.#lastTurn.set(best.job, ++this.#turn)
    return best
  }

  #turnOf = (job: AdmittedJob): number => this.#lastTurn.get(job) ?? 0

  /** Runs units of one job for a quantum, or until it has none. */
  async #stay({ desk, job }: Work): Promise<void> {
    const { policy, task } = job
    const init = { source: task.source, seed: policy.seed, memoryMiB: policy.memoryMiB, timeoutMs: policy.timeoutMs }
    const sandbox = this.#components.runtime.open(init)
    const leaveAt = this.#components.now() + LIMITS.SLOT_QUANTUM_MS
    let batch = 1
    try {
      for (;;) {
        const taken = desk.take(job.id, batch)
        if (taken === null) {
          if (!(await this.#lingerFor(desk, job))) return
          continue
        }
        const began = this.#components.now()
        await this.#runBatch({ desk, job }, sandbox, taken.units, taken.signal)
        const perUnitMs = (this.#components.now() - began) / taken.units.length
        batch = Math.max(
          1,
          Math.min(LIMITS.FRAME_UNITS_MAX, batch * 4, Math.floor(LIMITS.SANDBOX_BATCH_MS / perUnitMs)),
        )
        if (this.#stopping.signal.aborted) return
        if (this.#components.now() > leaveAt && this.#othersWait(job)) return
      }
    } finally {
      await sandbox.close()
    }
  }

  async #runBatch({ desk, job }: Work, sandbox: Sandbox, units: UnitInput[], wanted: AbortSignal): Promise<void> {
    const open = new Set(units.map(({ unit }) => unit))
    this.#busy += 1
    try {
      for await (const attempts of sandbox.run(units, AbortSignal.any([wanted, this.#stopping.signal]))) {
        for (const { unit } of attempts) open.delete(unit)
        this.#total += attempts.length
        desk.finish(job.id, attempts)
      }
    } catch (thrown) {
      const error = TalkootError.from(thrown)
      const { code } = error
      const message = error.message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
      desk.finish(
        job.id,
        [...open].map((unit) => ({ unit, ok: false, code, message, blame: 'machine' })),
      )
      open.clear()
      throw thrown
    } finally {
      this.#busy -= 1
      if (wanted.aborted) desk.drop(job.id, [...open])
      else desk.handBack(job.id, [...open], 'E_DRAINING').catch(this.#components.onError)
    }
  }

  /** Keeps the sandbox warm for a moment, as the next frame is likely on its way. False when the slot should move on. */
  async #lingerFor(desk: Desk, job: AdmittedJob): Promise<boolean> {
    if (this.#stopping.signal.aborted || this.#othersWait(job) || !desk.knows(job)) return false
    return new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), LIMITS.SANDBOX_LINGER_MS)
      this.#wakers.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  #othersWait(job: AdmittedJob): boolean {
    for (const desk of this.#components.desks()) {
      for (const other of desk.ready()) if (other !== job) return true
    }
    return false
  }
}
