/**
 * The scheduler core: a deterministic reducer from events to effects. It never waits, reads no clock and draws chance
 * only from the generator it is given, so that production, tests and the simulator run the same code.
 *
 * @example
 * const scheduler = createScheduler({ random: xoroshiro128plus(seed) })
 * for (const effect of scheduler.step({ type: 'job.added', job }, now)) perform(effect)
 * const wake = scheduler.nextWake() // then: step({ type: 'tick' }, wake)
 */

import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'
import { compilePolicy } from '../matching/policy.ts'
import { CreditBook } from '../verification/book.ts'
import { verificationOf } from '../verification/by-policy.ts'
import { ASSUMED, type Evidence } from '../verification/credit.ts'
import { pairKey } from '../verification/verification.ts'
import { easeStep } from './credit.ts'
import type { JobProgress, SchedulerEffect, SchedulerEvent } from './events.ts'
import { refill, serve, serveLine } from './grants.ts'
import { hearCompared, hearFetching, hearHandback, hearReady, hearRefusal, hearResults } from './hear.ts'
import { addJob, cancelJob, gateJob, passDeadline } from './jobs.ts'
import { lease } from './lease.ts'
import { progressOf } from './progress.ts'
import { hearRecalled } from './reopen.ts'
import { blockPeer, checkLeases, peerAd, peerDown, peerUp } from './sessions.ts'
import { decideNow, finishIfSettled, judge } from './settle.ts'
import type { Core, Peer, SchedulerComponents } from './state.ts'
import { checkStragglers, watchStragglers } from './stragglers.ts'
import { Timers } from './timers.ts'
import { flush } from './trust.ts'
import { holderOf, retryWhereItFailed } from './units.ts'
import { type SeatView, seatView, type UnitView, unitView } from './views.ts'
import { lastChecks, overdue } from './withheld.ts'

export interface Scheduler {
  /** Takes one event in at `now` (milliseconds, never falling) and says what is to be done, in this order. @throws E_EXPRESSION on `job.added` */
  step(event: SchedulerEvent, now: number): SchedulerEffect[]
  /** When to `tick`, if no other event comes first; null: never. */
  nextWake(): number | null
  /** As of `now`, or of the last step. Null for a job never added, or ended long ago. */
  progress(job: string, now?: number): JobProgress | null
  /** Attempts of the job as `JobProgress` counts them, of those this scheduler gave out; 0 for a job never added, or ended long ago. */
  spent(job: string): { executions: number; wasted: number }
  /** How each peer stands to the job, as of `now` or of the last step. */
  seats(job: string, now?: number): SeatView[]
  /** An undecided unit; null for one that is decided, and for those of a job that is not being worked on. */
  unit(job: string, unit: number, now?: number): UnitView | null
  /** Whether the unit is in the peer's hands. */
  isHeld(job: string, unit: number, peer: string): boolean
  /** Whether the peer's word on the unit would count: it was given the unit, perhaps long ago, and has not spoken. */
  isAwaited(job: string, unit: number, peer: string): boolean
  /** What is held in memory, for tests of its bounds. */
  load(): { jobs: number; peers: number; undecidedUnits: number; inFlight: number; timers: number }
}

export type SchedulerInit = { random: RandomGenerator } & Partial<SchedulerComponents>

export function createScheduler(init: SchedulerInit): Scheduler {
  const components = { match: compilePolicy, verification: verificationOf, credit: () => null, lease, ...init }
  const core: Core = {
    components,
    book: new CreditBook({ assumed: ASSUMED, load: (peer) => loadCredit(core, peer) }),
    jobs: new Map(),
    peers: new Map(),
    timers: new Timers(),
    now: 0,
    effects: [],
    credited: new Set(),
    doubting: new Set(),
    touched: new Set(),
    stirred: new Set(),
    shrunk: new Set(),
    decided: new Set(),
    refills: new Set(),
    freed: new Set(),
    ending: new Set(),
    ended: new Map(),
    nextSlot: 0,
    shared: new Map(),
    leaseTimerSet: false,
  }
  return {
    step: (event, now) => step(core, event, now),
    nextWake: () => core.timers.nextAt,
    progress: (id, now = core.now) => {
      const job = core.jobs.get(id)
      return job === undefined ? (core.ended.get(id) ?? null) : progressOf(job, now)
    },
    spent: (id) => {
      const { executions, wasted } = core.jobs.get(id) ?? core.ended.get(id) ?? { executions: 0, wasted: 0 }
      return { executions, wasted }
    },
    seats: (id, now = core.now) => [...(core.jobs.get(id)?.seats.values() ?? [])].map((seat) => seatView(seat, now)),
    unit: (id, index, now = core.now) => {
      const job = core.jobs.get(id)
      return job === undefined ? null : unitView(job, index, now)
    },
    isHeld: (id, unit, peer) => core.jobs.get(id)?.seats.get(peer)?.inFlight.has(unit) ?? false,
    isAwaited: (id, index, peer) => {
      const job = core.jobs.get(id)
      const [seat, unit] = [job?.seats.get(peer), job?.open.get(index)]
      const holder = seat && unit && holderOf(unit, seat)
      return holder !== undefined && holder.holding !== 'voiced'
    },
    load: () => loadOf(core),
  }
}

function step(core: Core, event: SchedulerEvent, now: number): SchedulerEffect[] {
  core.now = Math.max(core.now, now)
  core.effects = []
  take(core, event)
  for (let due = core.timers.take(core.now); due !== null; due = core.timers.take(core.now)) {
    if (due.kind === 'lease') checkLeases(core)
    else if (due.kind === 'rested') core.refills.add(due.seat)
    else if (core.jobs.get(due.job.spec.id) !== due.job) continue
    else if (due.kind === 'stragglers') {
      checkStragglers(core, due.job)
      core.ending.add(due.job)
    } else if (due.kind === 'retry') retryWhereItFailed(core, due.job, due.unit)
    else if (passDeadline(core, due.job)) break
  }
  settleAndServe(core)
  return core.effects
}

function take(core: Core, event: SchedulerEvent): void {
  if ('peer' in event) takeFromPeer(core, event)
  else if (event.type === 'job.added') addJob(core, event.job)
  else if (event.type !== 'tick') {
    const job = core.jobs.get(event.job)
    if (job === undefined) return
    if (event.type === 'job.cancelled') cancelJob(core, job)
    else if (event.type === 'job.gate') gateJob(core, job, event.gate)
    else if (event.type === 'recalled') hearRecalled(core, job, event.units, event.last)
    else hearCompared(core, job, event.unit, pairKey(event.a, event.b), event.same)
  }
}

/** Anything a peer says is a sign of life. */
function takeFromPeer(core: Core, event: Extract<SchedulerEvent, { peer: string }>): void {
  const peer = core.peers.get(event.peer)
  if (peer !== undefined) {
    peer.heardAt = core.now
    if (event.type === 'results' || (event.type === 'peer.alive' && event.waits)) peer.turnedAt = core.now
  }
  if (event.type === 'peer.up') peerUp(core, event)
  else if (peer === undefined) return
  else if (event.type === 'peer.ad') peerAd(core, peer, event.ad)
  else if (event.type === 'peer.down') {
    if (event.code === 'E_BLOCKED') blockPeer(core, peer)
    peerDown(core, peer)
  } else if (event.type !== 'peer.alive') takeFromSeat(core, peer, event)
}

type WorkEvent = Extract<SchedulerEvent, { type: 'results' | 'handback' | `job.${'fetching' | 'ready' | 'refused'}` }>

function takeFromSeat(core: Core, peer: Peer, event: WorkEvent): void {
  const seat = core.jobs.get(event.job)?.seats.get(peer.id)
  if (seat === undefined) return
  core.refills.add(seat)
  if (event.type === 'results') hearResults(core, seat, event.attempts, event.held ?? null)
  else if (event.type === 'handback') hearHandback(core, seat, event.units, event.code)
  else if (event.type === 'job.fetching') hearFetching(core, seat, event)
  else if (event.type === 'job.ready') hearReady(core, seat)
  else hearRefusal(core, seat, event.code, event.retryAfterMs)
}

/** What the event set in motion: units judged again, jobs ended, room filled, work given to whoever has room. */
function settleAndServe(core: Core): void {
  for (const job of core.shrunk) {
    core.shrunk.delete(job)
    for (const unit of [...job.scarred]) if (job.open.get(unit.index) === unit) judge(core, job, unit, null)
  }
  judgeDoubted(core)
  for (const job of core.decided) {
    for (const unit of lastChecks(core, job)) judge(core, job, unit, null)
    for (const unit of overdue(job)) decideNow(core, job, unit)
  }
  tellCredit(core)
  for (const seat of core.touched) flush(core, seat)
  core.touched.clear()
  for (const job of core.decided) finishIfSettled(core, job)
  core.decided.clear()
  for (const seat of core.refills) refill(core, seat)
  core.refills.clear()
  for (const job of core.stirred) serve(core, job)
  core.stirred.clear()
  for (const peer of core.freed) serveLine(core, peer)
  core.freed.clear()
  for (const job of core.ending) {
    for (const seat of easeStep(job)) refill(core, seat)
    watchStragglers(core, job)
  }
  core.ending.clear()
}

/** One judgement may bring on others: a peer that is caught, or has survived a check. */
function judgeDoubted(core: Core): void {
  for (const job of core.doubting) {
    core.doubting.delete(job)
    for (const unit of job.doubted) {
      job.doubted.delete(unit)
      if (job.open.get(unit.index) === unit) judge(core, job, unit, null)
    }
  }
}

/** Times are of this process; the ledger knows ages. */
function loadCredit(core: Core, peer: string): Evidence | null {
  const known = core.components.credit(peer)
  return known === null ? null : { checks: known.checks, caught: known.caught, at: core.now - known.ageMs }
}

/** What the book has of peers that has changed in this step. */
function tellCredit(core: Core): void {
  for (const peer of core.credited) {
    const { checks, caught } = core.book.credit(peer, core.now)
    core.effects.push({ type: 'credit', peer, checks, caught })
  }
  core.credited.clear()
}

function loadOf(core: Core): ReturnType<Scheduler['load']> {
  let [undecidedUnits, inFlight] = [0, 0]
  for (const job of core.jobs.values()) undecidedUnits += job.open.size
  for (const peer of core.peers.values()) inFlight += peer.inFlight
  return { jobs: core.jobs.size, peers: core.peers.size, undecidedUnits, inFlight, timers: core.timers.size }
}
