/** This machine at work for others, its own node among them: a seat for each submitter, signs of life, the owner's pause. */

import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import type { Signer } from '../../protocol/signatures.ts'
import type { Channel } from '../mesh/mesh.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import { Admission, type OwnerPolicy } from './admission.ts'
import { Desk } from './desk.ts'
import type { FetchTree } from './inputs.ts'
import { Outbox } from './outbox.ts'
import type { DescribeTree } from './point-files.ts'
import { Slots } from './slots.ts'
import { Tails } from './tails.ts'
import type { FetchTask } from './task-shelf.ts'
import type { FileKeeper } from './unit-files.ts'
import { type Shares, type Submitter, weightOf } from './weights.ts'

/** What one submitter has of this machine. `slotMs` is slot time used since it came. */
export type ShareFacts = { peer: string; weight: number; slotMs: number; running: number; queued: number }

type Components = {
  runtimes: Pick<Runtimes, 'open'>
  /** As it was proved at start. */
  runtimeVersion(kind: RuntimeKind): string
  signer: Signer
  /** The bytes of a task, from here or from the submitter. */
  fetchTask: FetchTask
  fetchTree: FetchTree
  describeTree: DescribeTree
  /** Where files of units are kept. */
  trees: FileKeeper
  /** Slot time a peer has done for this node, milliseconds. */
  doneFor(peer: string): number
  /** No work is taken from it. */
  isBlocked(peer: string): boolean
  /** Milliseconds, monotonic. */
  now(): number
  random(): number
  onError(error: unknown): void
}

/** `shares`: what the work of each submitter weighs against that of others. */
export type WorkerInit = OwnerPolicy & { shares: Shares }

type Seat = { desk: Desk; role: Submitter['role']; leftAt: number | null }

export class Worker {
  readonly #components: Components
  readonly #shares: Shares
  readonly #admission: Admission
  readonly #slots: Slots
  readonly #tails: Tails
  readonly #seats = new Map<string, Seat>()
  #beat: NodeJS.Timeout | null = null
  #running = false
  #paused = false
  #stopped: Promise<void> | null = null

  constructor(components: Components, init: WorkerInit) {
    this.#components = components
    this.#shares = init.shares
    this.#admission = new Admission(components, init)
    this.#slots = new Slots({ ...components, desks: () => this.#desks() }, init)
    this.#tails = new Tails({ live: this.#slots.live })
  }

  start(): void {
    if (this.#running || this.#stopped !== null) return
    this.#running = true
    this.#slots.start()
    this.#beatLater()
  }

  /** Ends what runs, gives all units back to their submitters with the last results, and stops. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  facts(): { slots: number; busy: number; queued: number; total: number } {
    let queued = 0
    for (const desk of this.#desks()) queued += desk.queued()
    return { slots: this.#slots.size, busy: this.#slots.busy, queued, total: this.#slots.total }
  }

  /** From now on nothing runs here: what runs is stopped, and everything is handed back; or work goes on. */
  pause(paused: boolean): void {
    this.#paused = paused
    this.#slots.pause(paused)
    if (!paused) return
    for (const desk of this.#desks()) desk.giveBack('E_PAUSED').catch(this.#components.onError)
  }

  /** Peers were blocked, or are no longer: what runs of a blocked one ends, what waits goes back to it. */
  rulesChanged(): void {
    for (const id of [...this.#seats.keys()]) if (this.#components.isBlocked(id)) this.#drop(id, 'E_BLOCKED')
  }

  /** Of those that have a seat here, most slot time first. */
  shares(): ShareFacts[] {
    return [...this.#seats].map(([, { desk }]) => factsOf(desk)).sort((a, b) => b.slotMs - a.slotMs)
  }

  shareOf(peer: string): ShareFacts | null {
    const seat = this.#seats.get(peer)
    return seat === undefined ? null : factsOf(seat.desk)
  }

  /** Tells a submitter what one of its units writes, until it ends. */
  async tail(channel: Channel, submitter: string): Promise<void> {
    await this.#tails.serve(channel, submitter)
  }

  /** Serves one submitter over one channel until it ends. */
  async serve(channel: Channel, submitter: Submitter): Promise<void> {
    if (!this.#running) return channel.abort('E_DRAINING', 'this machine runs no units now')
    if (this.#components.isBlocked(submitter.id))
      return channel.abort('E_BLOCKED', 'this machine takes no work of yours')
    const seat = this.#seatOf(submitter)
    if (seat === null) return channel.abort('E_BUSY', `${LIMITS.SESSIONS_PER_WORKER_MAX} submitters are served already`)
    seat.role = submitter.role
    this.#weigh(submitter.id, seat)
    seat.leftAt = null
    await seat.desk.serve(channel)
    if (!seat.desk.connected) seat.leftAt = this.#components.now()
  }

  async #stop(): Promise<void> {
    this.#running = false
    if (this.#beat !== null) clearTimeout(this.#beat)
    await this.#slots.stop()
    this.#tails.stop()
    await Promise.all([...this.#desks()].map((desk) => desk.close('E_DRAINING')))
    this.#seats.clear()
  }

  /** This machine's own seat is never taken by others, and those that left make room for those that come. */
  #seatOf(submitter: Submitter): Seat | null {
    const known = this.#seats.get(submitter.id)
    if (known !== undefined) return known
    const full = this.#seats.size >= LIMITS.SESSIONS_PER_WORKER_MAX
    if (full && submitter.role !== 'self' && !this.#dropLongestGone()) return null
    const { signer, now, onError } = this.#components
    const desk = new Desk(
      {
        outbox: new Outbox({ signer, now, onError }),
        now,
        // Its role may have changed since it came first.
        admit: (introduction, options) =>
          this.#admission.admit({ id: submitter.id, role: seat.role }, introduction, options),
        onReady: () => this.#slots.wake(),
        isPaused: () => this.#paused,
        onError,
      },
      { submitter: submitter.id, slots: this.#slots.size },
    )
    const seat: Seat = { desk, role: submitter.role, leftAt: null }
    this.#seats.set(submitter.id, seat)
    return seat
  }

  #weigh(id: string, { desk, role }: Seat): void {
    desk.weight = weightOf(this.#shares, { id, role }, role === 'self' ? 0 : this.#components.doneFor(id))
  }

  #dropLongestGone(): boolean {
    let longest: { id: string; leftAt: number } | null = null
    for (const [id, { leftAt }] of this.#seats) {
      if (leftAt !== null && (longest === null || leftAt < longest.leftAt)) longest = { id, leftAt }
    }
    if (longest !== null) this.#drop(longest.id)
    return longest !== null
  }

  #drop(id: string, code: ErrorCode = 'E_UNREACHABLE'): void {
    this.#seats.get(id)?.desk.close(code).catch(this.#components.onError)
    this.#seats.delete(id)
  }

  *#desks(): Iterable<Desk> {
    for (const { desk } of this.#seats.values()) yield desk
  }

  #beatLater(): void {
    const delay = LIMITS.BEAT_MS * (0.9 + 0.2 * this.#components.random())
    this.#beat = setTimeout(() => {
      this.#beatLater()
      const now = this.#components.now()
      for (const [id, seat] of this.#seats) {
        const { desk, leftAt } = seat
        this.#weigh(id, seat)
        if (leftAt === null) desk.beat().catch(this.#components.onError)
        else if (desk.idle || now - leftAt > LIMITS.ORPHAN_GRACE_MS) this.#drop(id)
      }
    }, delay)
  }
}

const factsOf = (desk: Desk): ShareFacts => ({
  peer: desk.submitter,
  weight: desk.weight,
  slotMs: Math.round(desk.slotMs),
  running: desk.running(),
  queued: desk.queued(),
})
