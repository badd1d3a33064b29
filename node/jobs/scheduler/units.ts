/** One unit between hands: given out, taken back, waiting for a further copy. */

import { LIMITS } from '../../../protocol/limits.ts'
import { isAlike, leaveClass, takeClass } from './alike.ts'
import { leavePlace, takePlace } from './line.ts'
import { barring, type Pool } from './pool.ts'
import type { Core, Holder, Job, Seat, Unit } from './state.ts'

/** Before a machine is given a unit it failed again; doubled with each failure of the unit. */
const RETRY_MS = 1_000

/** A unit is given out for the first time, or again: to as many peers. */
export function openUnit(job: Job, index: number, copies = job.verification.copies): Unit {
  const unit: Unit = {
    index,
    alike: null,
    holders: [],
    needs: copies,
    later: false,
    check: false,
    final: false,
    before: null,
    withdrawn: false,
    spare: 0,
    spared: 0,
    running: 0,
    ended: 0,
    failures: 0,
    missing: 0,
    bucket: null,
    place: 0,
    waits: false,
    answers: null,
    asked: null,
  }
  job.open.set(index, unit)
  return unit
}

export function holderOf(unit: Unit, seat: Seat): Holder | undefined {
  for (const holder of unit.holders) if (holder.seat === seat) return holder
  return undefined
}

/** What is pushed to an array takes room for sixteen more: with thousands of units in flight, a fifth of all they take. */
export function addHolder(unit: Unit, holder: Holder): void {
  unit.holders = unit.holders.concat(holder)
}

/** The unit goes into the seat's hands. */
export function hand(core: Core, job: Job, unit: Unit, seat: Seat): void {
  const known = holderOf(unit, seat)
  if (known === undefined) {
    addHolder(unit, {
      seat,
      holding: 'running',
      since: core.now,
      begunAt: null,
      said: null,
      word: 0,
      confirmed: false,
      together: false,
      faulty: false,
      fault: null,
    })
    seat.named += 1
  } else {
    known.holding = 'running'
    known.since = core.now
    known.begunAt = null
  }
  takeClass(unit, seat)
  if (unit.running === 0) job.running += 1
  unit.running += 1
  if (seat.inFlight.size === 0) {
    takePlace(core, seat)
    job.working += 1
  }
  seat.inFlight.set(unit.index, unit)
  seat.peer.inFlight += 1
  place(core, job, unit)
}

/** The unit is in the holder's hands no more, for whatever reason. */
export function takeOut(unit: Unit, holder: Holder, becomes: Holder['holding']): void {
  const { seat } = holder
  if (holder.holding === 'running') {
    seat.inFlight.delete(unit.index)
    if (seat.inFlight.size === 0) {
      leavePlace(seat)
      seat.job.working -= 1
    }
    seat.peer.inFlight -= 1
    unit.running -= 1
    if (unit.running === 0) seat.job.running -= 1
  }
  holder.holding = becomes
  holder.begunAt = null
}

/** The holder lost the unit without an end: it goes elsewhere, and a late result still counts. */
export function giveBack(core: Core, unit: Unit, holder: Holder): void {
  const { job } = holder.seat
  takeOut(unit, holder, 'gone')
  leaveClass(unit)
  core.freed.add(holder.seat.peer)
  if (unit.spare > 0) unit.spare -= 1
  place(core, job, unit)
  core.stirred.add(job)
}

/** Every unit of the seat goes elsewhere. */
export function giveBackAll(core: Core, seat: Seat): void {
  for (const unit of [...seat.inFlight.values()]) {
    const holder = holderOf(unit, seat)
    if (holder !== undefined) giveBack(core, unit, holder)
  }
}

/** Tells the seat at the end of this step that a unit it may be running is not wanted. */
export function revoke(core: Core, seat: Seat, unit: number): void {
  seat.revokedNow.push(unit)
  core.touched.add(seat)
}

/** Another was there first. */
export function countWasted(job: Job): void {
  job.executions += 1
  job.wasted += 1
}

/** Remembers that the seat may still be running a decided unit, so that its end is counted once. */
export function addStray(seat: Seat, unit: number, accepted: boolean): void {
  seat.strays.set(unit, { accepted })
  if (seat.strays.size <= LIMITS.WORKER_QUEUE_UNITS_MAX) return
  for (const oldest of seat.strays.keys()) {
    seat.strays.delete(oldest)
    return
  }
}

/** Puts the unit in the pool for the copies it needs beyond those running. */
export function place(core: Core, job: Job, unit: Unit): void {
  const missing = Math.max(0, unit.needs + unit.spare - unit.running)
  if (missing > 0 && unit.failures > 0 && onlyBarredLeft(job, unit)) {
    if (unit.holders.some(({ holding, faulty }) => holding === 'failed' && faulty)) waitForOthers(core, job, unit)
    else liftBars(unit)
  }
  poolOf(job, unit).place(unit, missing)
}

/** Whether its copies wait until there is nothing else to do. */
export function setLater(job: Job, unit: Unit, later: boolean): void {
  if (unit.later !== later) poolOf(job, unit).place(unit, 0)
  else if (!later) return
  unit.later = later
  for (const { seat, said } of unit.holders) {
    if (later && said !== null) seat.later.add(unit)
    else seat.later.delete(unit)
  }
}

const poolOf = (job: Job, unit: Unit): Pool => (unit.later ? job.later : job.pool)

/** Nobody else came in time: the peers that failed the unit may try again. */
export function retryWhereItFailed(core: Core, job: Job, unit: Unit): void {
  unit.waits = false
  if (job.open.get(unit.index) !== unit || !onlyBarredLeft(job, unit)) return
  liftBars(unit)
  place(core, job, unit)
  core.stirred.add(job)
}

/** A machine that failed a unit is not given it again at once: it would use up the retries before another peer comes. */
function waitForOthers(core: Core, job: Job, unit: Unit): void {
  if (unit.waits) return
  unit.waits = true
  const ms = Math.min(RETRY_MS * 2 ** (unit.failures - 1), LIMITS.PEER_BACKOFF_MAX_MS)
  core.timers.set(core.now + ms, { kind: 'retry', job, unit })
}

/** A unit avoids the peers that failed it, unless there are no others. */
const onlyBarredLeft = (job: Job, unit: Unit): boolean =>
  !isAnyFree(
    job,
    unit,
    unit.holders.filter(({ holding }) => holding !== 'gone'),
  )

/** Whether a usable peer may have the unit that is none of these, and shares nothing with them where that matters. */
function isAnyFree(job: Job, unit: Unit, holders: readonly Holder[]): boolean {
  const barred = new Set(holders.flatMap(({ seat }) => barring(seat)))
  for (const seat of job.seats.values()) {
    if (!seat.usable || !isAlike(unit.alike, seat)) continue
    if (!barring(seat).some((number) => barred.has(number))) return true
  }
  return false
}

function liftBars(unit: Unit): void {
  for (const holder of unit.holders) if (holder.holding === 'failed') holder.holding = 'gone'
  leaveClass(unit)
}

/** Peers that could still be asked about the unit, or asked again. */
export function othersFor(job: Job, unit: Unit): number {
  const spoken = unit.holders.filter(({ seat, holding }) => seat.usable && holding === 'voiced')
  if (job.crediting && !isAnyFree(job, unit, spoken)) return 0
  const usable = unit.alike === null ? job.usable : (job.classes.get(unit.alike) ?? 0)
  return usable - spoken.length
}
