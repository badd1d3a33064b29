/** The slots of this machine: each runs units one after another, those of the job whose turn it is. */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import type { UnitInput } from '../runtimes/runtime.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import type { AdmittedJob } from './admission.ts'
import type { Desk } from './desk.ts'
import { LiveOutputs } from './live-output.ts'
import { Turns } from './turns.ts'
import type { FileKeeper } from './unit-files.ts'
import { type Opened, WarmShelf } from './warm-shelf.ts'

type Components = {
  runtimes: Pick<Runtimes, 'open'>
  runtimeVersion(kind: RuntimeKind): string
  /** Where files of units are kept. */
  trees: FileKeeper
  /** Desks that may have work. */
  desks(): Iterable<Desk>
  /** Milliseconds, monotonic. */
  now(): number
  onError(error: unknown): void
}

/** A job as it waits for a slot: the same object as long as the job is here. */
type Work = {
  desk: Desk
  job: AdmittedJob
  submitter: string
  readonly weight: number
  priority: number
  cpus: number
  memoryMiB: number
  /** Units that make a batch, as measured. */
  batch: number
}

/** `signal` aborts when none of the units is wanted any more. */
type Taken = { units: UnitInput[]; signal: AbortSignal }

/** A job on a slot, with its process. */
type Held = { work: Work; opened: Opened; since: number }

export class Slots {
  /** What runs writes. */
  readonly live = new LiveOutputs()
  readonly #components: Components
  readonly #size: number
  readonly #turns: Turns<Work>
  readonly #shelf: WarmShelf
  readonly #stopping = new AbortController()
  #pausing = new AbortController()
  readonly #loops: Promise<void>[] = []
  readonly #works = new WeakMap<AdmittedJob, Work>()
  #wakers: (() => void)[] = []
  #busy = 0
  #total = 0

  constructor(components: Components, init: { slots: number; memoryMiB: number }) {
    this.#components = components
    this.#size = init.slots
    const isWanted = (key: string) => this.#waiting().some(({ job }) => job.needs.key === key)
    this.#shelf = new WarmShelf({ ...components, isWanted }, init)
    this.#turns = new Turns({ ...init, isWarm: ({ job }) => this.#shelf.has(job.needs.key) })
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
    if (wakers.length === 0 && this.#size > 0) this.#prepareNew()
  }

  /** Ends what runs and hands it back, and begins nothing until it is called again. */
  pause(paused: boolean): void {
    if (paused === this.#pausing.signal.aborted) return
    if (paused) this.#pausing.abort()
    else this.#pausing = new AbortController()
    this.wake()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.wake()
    await Promise.all(this.#loops)
    await this.#shelf.clear()
  }

  async #loop(): Promise<void> {
    const { now, onError } = this.#components
    let held: Held | null = null
    while (!this.#stopping.signal.aborted) {
      const work: Work | null = this.#turns.next(
        this.#waiting(),
        now(),
        held && { claim: held.work, since: held.since },
      )
      if (held !== null && work !== held.work) {
        this.#shelf.put(held.work.job.needs, held.opened)
        held = null
        // The cores and memory it had may be what another slot waits for.
        this.wake()
      }
      if (work === null) {
        if (this.#pausing.signal.aborted) this.#shelf.clear().catch(onError)
        await new Promise<void>((resolve) => this.#wakers.push(resolve))
        continue
      }
      const began = now()
      const turn = this.#turns.begin(work, began)
      // Before anything is waited for: another slot must not come for the same units.
      const taken = work.desk.take(work.job.id, this.#batchOf(work))
      try {
        held ??= { work, opened: await this.#shelf.take(work.job.needs), since: began }
        await this.#runBatch(held, taken)
      } catch (error) {
        onError(error)
      } finally {
        const ended = now()
        this.#turns.end(turn, ended)
        work.desk.slotMs += (ended - began) * work.cpus
      }
    }
    if (held !== null) this.#shelf.put(held.work.job.needs, held.opened)
  }

  /** While all slots are busy, the process of a new job is started, so that its first slot is not spent on that. */
  #prepareNew(): void {
    const coming = this.#waiting().find((work) => this.#turns.isNew(work))
    if (coming !== undefined) this.#shelf.prepare(coming.job.needs)
  }

  #waiting(): Work[] {
    const waiting: Work[] = []
    if (this.#pausing.signal.aborted) return waiting
    for (const desk of this.#components.desks()) {
      for (const job of desk.ready()) waiting.push(this.#workOf(desk, job))
    }
    return waiting
  }

  #workOf(desk: Desk, job: AdmittedJob): Work {
    const known = this.#works.get(job)
    if (known !== undefined) return known
    const { priority, cpus, memoryMiB } = job.policy
    const work: Work = {
      desk,
      job,
      submitter: desk.submitter,
      get weight() {
        return desk.weight
      },
      priority,
      cpus,
      memoryMiB,
      batch: 1,
    }
    this.#works.set(job, work)
    return work
  }

  /** No slot takes what another would begin sooner. */
  #batchOf({ desk, job, cpus, batch }: Work): number {
    return Math.min(batch, Math.ceil(desk.readyOf(job.id) / Math.floor(this.#size / cpus)))
  }

  async #runBatch(held: Held, taken: Taken): Promise<void> {
    const { work } = held
    const { now } = this.#components
    const cut = new AbortController()
    const cutting =
      taken.units.length > 1 ? setInterval(() => this.#cutIfDue(held, cut), LIMITS.SLOT_BATCH_MAX_MS) : null
    const began = now()
    try {
      await this.#run(held, taken, cut.signal)
    } finally {
      if (cutting !== null) clearInterval(cutting)
    }
    const perUnitMs = (now() - began) / taken.units.length
    const fitting = Math.min(LIMITS.FRAME_UNITS_MAX, work.batch * 4, Math.round(LIMITS.SANDBOX_BATCH_MS / perUnitMs))
    work.batch = cut.signal.aborted ? 1 : Math.max(1, fitting)
  }

  /** Units that turned out longer than those before them do not keep a job that is due waiting. */
  #cutIfDue({ work, since }: Held, cut: AbortController): void {
    const { now } = this.#components
    if (this.#turns.isOverdue({ claim: work, since }, this.#waiting(), now())) cut.abort()
  }

  async #run({ work, opened }: Held, { units, signal: wanted }: Taken, cut: AbortSignal): Promise<void> {
    const { desk, job } = work
    const { sandbox, reports, files, live, saved } = opened
    const { runtimeVersion, onError } = this.#components
    const { runtime } = job.needs
    const open = new Map(units.map((input) => [input.unit, input]))
    const paused = this.#pausing.signal
    this.#busy += work.cpus
    reports.clear()
    files.clear()
    live.begin(units.map(({ unit }) => unit))
    saved.on = (unit, state) => desk.checkpoint(job.id, unit, state)
    const over = this.live.add(desk.submitter, job.id, live)
    try {
      for await (const attempts of sandbox.run(units, AbortSignal.any([wanted, cut, paused, this.#stopping.signal]))) {
        for (const { unit } of attempts) {
          open.delete(unit)
          live.end(unit)
        }
        this.#total += attempts.length
        desk.finish(job.id, attempts, { reports: reports.take(`${runtime} ${runtimeVersion(runtime)}`), files })
      }
    } catch (thrown) {
      const error = TalkootError.from(thrown)
      const { code } = error
      const message = error.message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
      desk.finish(
        job.id,
        [...open.keys()].map((unit) => ({ unit, ok: false, code, message, blame: 'machine' })),
      )
      open.clear()
      throw thrown
    } finally {
      over()
      // Of a unit that was cut off while its files were taken: its sandbox may never run another.
      files.clear()
      this.#busy -= work.cpus
      if (wanted.aborted) desk.drop(job.id, [...open.keys()])
      else if (paused.aborted) desk.handBack(job.id, [...open.keys()], 'E_PAUSED').catch(onError)
      else if (cut.aborted && !this.#stopping.signal.aborted) desk.putBack(job.id, [...open.values()])
      else desk.handBack(job.id, [...open.keys()], 'E_DRAINING').catch(onError)
    }
  }
}
