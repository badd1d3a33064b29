/** Giving units out: who gets how many, of which job, and which ones. */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Bag } from './bag.ts'
import { isProven, openingCopies, roomByCredit, takesCopiesFirst } from './credit.ts'
import { activeJobs, fromLine, hasPlace, standInLine } from './line.ts'
import { isTimed, markBegun, rateOf, unitMsOf } from './pace.ts'
import { isBarred } from './pool.ts'
import { type Core, freshCount, type Job, type Peer, type Seat, slotsOf, type Unit } from './state.ts'
import { hand, openUnit } from './units.ts'
import { frameOf } from './window.ts'

/** Of the peers with room, this many are drawn at random and the best ranked of them is served first. */
const RANK_SAMPLE = 16
/** The weights of peers are summed again after this long, at the soonest. */
const WEIGH_MS = 100
/** The pool holds grants of about this many peers before it is emptied first. */
const MIXED_PEERS = 16
/** Busy seats tried in vain in one step. */
const BUSY_TRIES_MAX = 16
/** Idle seats passed over in one step because others would be done sooner. */
const PASSED_TRIES_MAX = 64

/** Fills the window of the seat. */
export function refill(core: Core, seat: Seat): void {
  while (grant(core, seat) > 0);
  enlist(core, seat)
  core.freed.add(seat.peer)
}

/** The jobs in line have what places there are at the peer. */
export function serveLine(core: Core, peer: Peer): void {
  for (const seat of fromLine(core, peer)) {
    while (grant(core, seat) > 0);
    enlist(core, seat)
  }
}

/** Remembers whether the seat could take more or waits for a place, and what it is at. */
export function enlist(core: Core, seat: Seat): void {
  const { job, inFlight } = seat
  markBegun(core, seat)
  job.idle.delete(seat)
  job.hungry.delete(seat)
  job.held.delete(seat)
  core.ending.add(job)
  if (roomOf(core, seat) > 0) (inFlight.size < slotsOf(seat) ? job.idle : job.hungry).add(seat)
  else if (isOpen(core, seat) && roomByCredit(core, seat) <= 0) job.held.add(seat)
  else if (inFlight.size === 0 && isOpen(core, seat)) standInLine(core, seat)
}

/** Gives what the job has to those with room for it: first to whoever stands still. */
export function serve(core: Core, job: Job): void {
  serveFrom(core, job, job.idle, PASSED_TRIES_MAX)
  // A busy peer that is passed over asks again with its next result.
  serveFrom(core, job, job.hungry, BUSY_TRIES_MAX)
}

/**
 * A seat with idle slots gets nothing only if every unit in the pool is barred to it, so that few tries are in vain;
 * one with busy slots may have its fair share already, as may all the others.
 */
function serveFrom(core: Core, job: Job, bag: Bag<Seat>, triesMax: number): void {
  const aside: Seat[] = []
  let tries = 0
  while (bag.size > 0 && hasWork(job) && tries < triesMax) {
    const seat = bestOf(core, bag)
    const granted = grant(core, seat)
    if (granted > 0) enlist(core, seat)
    else {
      bag.delete(seat)
      aside.push(seat)
      if (seat.passedAt !== null || triesMax === BUSY_TRIES_MAX) tries += 1
    }
  }
  for (const seat of aside) enlist(core, seat)
}

/** How many more units the seat may be given now. */
export function roomOf(core: Core, seat: Seat): number {
  const { peer, window } = seat
  if (!isOpen(core, seat) || !hasPlace(core, seat)) return 0
  const slots = slotsOf(seat)
  const share = Math.max(2 * slots, Math.floor(LIMITS.PEER_WINDOW_UNITS_MAX / Math.max(1, activeJobs(peer))))
  const size = Math.min(window.size, share)
  const held = seat.inFlight.size
  // What other jobs have there leaves room for the first units of this one.
  const most = held < slots ? LIMITS.WORKER_QUEUE_UNITS_MAX : LIMITS.PEER_WINDOW_UNITS_MAX
  const room = Math.min(size - held, most - peer.inFlight, roomByCredit(core, seat))
  // Topping up by ones would make frames of one.
  if (held >= slots && room < size / 4) return 0
  return Math.max(0, room)
}

/** Whether the seat can be given units of its job, if there is room. */
const isOpen = (core: Core, { usable, restUntil, job }: Seat): boolean =>
  usable && core.now >= restUntil && !job.deadlinePassed && job.gate === null

const hasWork = (job: Job): boolean => job.pool.copies > 0 || job.later.copies > 0 || canOpen(job)

/** It was decided before a restart, whatever became of it since. */
export const isBehind = (job: Job, index: number): boolean =>
  job.restored && (job.spec.isSettled(index) || job.redone.has(index))

/** Undecided units are bounded: what is begun is finished first. */
export const canOpen = (job: Job): boolean =>
  job.cursor < job.spec.size &&
  job.open.size < LIMITS.UNDECIDED_UNITS_MAX &&
  job.valueBytes < LIMITS.UNDECIDED_VALUES_MAX_BYTES

/** So many of its class are there that what it begins can be decided among them. */
export function mayBegin(core: Core, seat: Seat): boolean {
  const { job, alike } = seat
  if (job.policy.alike === '') return true
  const enough = job.crediting ? (isProven(core, job, seat.peer) ? 1 : 2) : job.verification.copies
  return (job.classes.get(alike) ?? 0) >= enough
}

/** One frame for the seat. Returns how many units are in it. */
function grant(core: Core, seat: Seat): number {
  const { peer, job, window } = seat
  const room = roomOf(core, seat)
  if (room === 0 || !hasWork(job)) return 0
  const slots = slotsOf(seat)
  const count = Math.min(room, frameOf(window, slots), fairShare(core, seat) - seat.inFlight.size)
  if (count <= 0) return 0
  const wasIdle = seat.inFlight.size === 0
  const late = isTooLate(core, seat)
  const units = choose(core, seat, count, late)
  if (units.length === 0) {
    if (late && seat.inFlight.size < slots) pass(core, seat)
    return 0
  }
  seat.passedAt = null
  if (wasIdle) {
    // The time it had nothing to do does not count.
    window.markedAt = Math.min(core.now, window.markedAt + core.now - seat.lastEndAt)
    seat.lastEndAt = core.now
  }
  core.effects.push({ type: 'run', peer: peer.id, job: job.spec.id, units })
  return units.length
}

/**
 * Guided self-scheduling: nobody holds more than half its share of what is left, by measured rate; but always enough
 * for its slots. Far from the end this is no bound; near it, windows shrink and nobody waits long for the last peer.
 */
function fairShare(core: Core, seat: Seat): number {
  const { job, peer } = seat
  if (core.now >= job.weighAt) weigh(core, job)
  const rate = rateOf(core, seat)
  const share = rate / Math.max(job.rate, Number.MIN_VALUE)
  const least = slotsOf(seat) + (isTimed(job) ? Math.floor(rate * peer.latencyMs) : 0)
  return Math.max(least, Math.ceil((leftOf(job) * Math.min(1, share)) / 2))
}

/** Copies still to be given out, so far as is known. */
const leftOf = (job: Job): number => job.pool.copies + job.later.copies + freshCount(job) * job.verification.copies

function weigh(core: Core, job: Job): void {
  job.weighAt = core.now + WEIGH_MS
  job.rate = 0
  job.bestMs = Number.POSITIVE_INFINITY
  for (const seat of job.seats.values()) {
    if (!seat.usable || core.now < seat.restUntil) continue
    const rate = rateOf(core, seat)
    job.rate += rate
    job.bestMs = Math.min(job.bestMs, slotsOf(seat) / rate)
  }
}

/**
 * Near the end: the others would have ended all that is left, this unit among it, before this seat ended one. Then it
 * is given none, until nothing has ended for as long as a unit would take it: the others do not do what was expected.
 */
function isTooLate(core: Core, seat: Seat): boolean {
  const { job, passedAt, inFlight } = seat
  if (!isTimed(job)) return false
  const slots = slotsOf(seat)
  const ownMs = unitMsOf(seat) * (1 + Math.max(0, inFlight.size - slots + 1) / slots)
  if (passedAt !== null && core.now - Math.max(passedAt, job.lastEndAt) > ownMs) return false
  const others = job.rate - rateOf(core, seat)
  return others > 0 && ownMs > (leftOf(job) + job.running / 2) / others + job.bestMs
}

function pass(core: Core, seat: Seat): void {
  seat.passedAt ??= core.now
  seat.job.passed = true
}

/** Whether a faster peer may still take the unit. */
function isForFaster(core: Core, job: Job, unit: Unit, seat: Seat): boolean {
  const ownMs = unitMsOf(seat)
  for (const other of job.seats.values()) {
    if (!other.usable || core.now < other.restUntil || unitMsOf(other) >= ownMs) continue
    if (unit.bucket === null || !isBarred(unit.bucket, other)) return true
  }
  return false
}

function choose(core: Core, seat: Seat, count: number, late: boolean): number[] {
  const { job } = seat
  const indices: number[] = []
  const give = (unit: Unit) => {
    hand(core, job, unit, seat)
    indices.push(unit.index)
  }
  const drawUpTo = (limit: number, pool = job.pool) => {
    if (indices.length >= limit) return
    for (const unit of pool.draw(seat, limit - indices.length, core.components.random)) {
      if (!late || !isForFaster(core, job, unit, seat)) give(unit)
    }
  }
  if (late) {
    drawUpTo(count)
    drawUpTo(count, job.later)
    return indices
  }
  drawUpTo(begunShare(core, seat, count))
  while (indices.length < count && canOpen(job) && mayBegin(core, seat)) {
    const index = job.cursor++
    if (isBehind(job, index)) continue
    give(openUnit(job, index, openingCopies(core, seat, index)))
  }
  drawUpTo(count)
  drawUpTo(count, job.later)
  return indices
}

/**
 * How many units of a grant were begun by others. At (copies - 1) / copies of each grant the pool neither grows nor
 * shrinks, and holds units of all peers: so nobody is always paired with whoever asked just before.
 */
function begunShare(core: Core, seat: Seat, count: number): number {
  const { job } = seat
  if (job.crediting) return takesCopiesFirst(core, seat) ? count : 0
  const { copies } = job.verification
  // What came back is wanted soon.
  if (copies === 1 || job.pool.copies > count * Math.min(job.usable, MIXED_PEERS)) return count
  const share = (count * (copies - 1)) / copies
  const chance = uniformFloat64(core.components.random) < share - Math.floor(share)
  return Math.floor(share) + (chance ? 1 : 0)
}

/** By the job's own measure, else the fastest. */
const rankOf = (seat: Seat): number => seat.rank ?? -unitMsOf(seat)

/** The best ranked of a few drawn at random. */
function bestOf(core: Core, bag: Bag<Seat>): Seat {
  let best: Seat | undefined
  for (let i = 0; i < RANK_SAMPLE; i++) {
    const seat = bag.draw(core.components.random)
    if (seat === undefined) break
    if (best === undefined || rankOf(seat) > rankOf(best)) best = seat
    if (bag.size === 1) break
  }
  if (best === undefined) throw new RangeError('no peer has room')
  return best
}
