/**
 * Near the end of a job, when peers stand idle and nothing is left to give: units a busy peer has not begun are taken
 * back, and units it runs are run once more elsewhere, wherever they are expected to end sooner.
 *
 * A unit that takes long is either long itself, or its peer has stalled. The longer all slots of the peer are silent
 * against what units of this job take (their survival function S), the more it looks like the peer:
 * q = P / (P + (1 - P) * product of S(age / mean) over its slots), with P the chance that a peer stalls.
 * Time left where it runs:  (1 - q) * residual(age) + q * age       a stalled peer is expected to stall on as long
 * Time of a copy elsewhere: (1 - q) * (age + residual(age)) + q     in mean times of a unit on either peer
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { isTimed, markBegun, unitMsOf } from './pace.ts'
import { type Core, freshCount, type Holder, type Job, type Seat, type Unit } from './state.ts'
import { giveBack, hand, holderOf, revoke } from './units.ts'

const CHECK_MS = 100
const CHECK_MAX_MS = 2_000
/** The chance that a peer which is silent has stalled, before anything speaks for it. */
const STALL_CHANCE = 0.01
/** What is gained less than this is lost again on the way. */
const GAIN_LEAST_MS = 50
/** Units moved or copied in one check, and looked at for it. */
const MOVES_MAX = 256
const SEEN_MAX = 4_096

/** A unit somewhere, and when it is expected to end there if nothing is done, milliseconds from now. */
type Laggard = { unit: Unit; holder: Holder; begun: boolean; endMs: number; stallChance: number; age: number }
/** A peer with room, and when a slot of it is free, milliseconds from now. */
type Taker = { seat: Seat; freeMs: number[]; unitMs: number; given: number[] }

/** Sets the next check if there is anything to gain from it. */
export function watchStragglers(core: Core, job: Job): void {
  if (job.watching || job.idle.size === 0 || !(job.passed || (job.running > 0 && freshCount(job) === 0))) return
  job.watching = true
  core.timers.set(Math.max(core.now, job.checkedAt + checkMs(job)), { kind: 'stragglers', job })
}

/** Long units are looked at less often: what is found a tenth of a unit later is found in time. */
const checkMs = ({ bestMs }: Job): number => Math.min(CHECK_MAX_MS, Math.max(CHECK_MS, bestMs / 10))

export function checkStragglers(core: Core, job: Job): void {
  job.watching = false
  job.checkedAt = core.now
  job.passed = false
  core.stirred.add(job)
  if (job.running === 0 || freshCount(job) > 0) return
  const takers = takersOf(core, job)
  if (takers.length === 0) return
  const laggards = [...laggardsOf(core, job).values()].sort((a, b) => b.endMs - a.endMs)
  let moves = 0
  for (const laggard of laggards) {
    if (moves >= MOVES_MAX) break
    if (relieve(core, job, laggard, takers)) moves += 1
  }
  for (const { seat, given } of takers) {
    if (given.length === 0) continue
    seat.lastEndAt = core.now
    markBegun(core, seat)
    core.effects.push({ type: 'run', peer: seat.peer.id, job: job.spec.id, units: given })
  }
}

/** Idle seats, with the time each free slot is free from. */
function takersOf(core: Core, job: Job): Taker[] {
  const takers: Taker[] = []
  for (const seat of job.idle) {
    if (takers.length === MOVES_MAX) break
    const free = seat.peer.ad.cpus - seat.inFlight.size
    if (free <= 0 || core.now < seat.restUntil) continue
    takers.push({
      seat,
      freeMs: new Array<number>(Math.min(free, MOVES_MAX)).fill(0),
      unitMs: unitMsOf(seat),
      given: [],
    })
  }
  return takers
}

/** Of several copies of a unit the one that is expected to end first is what counts. */
function laggardsOf(core: Core, job: Job): Map<Unit, Laggard> {
  const laggards = new Map<Unit, Laggard>()
  for (const seat of job.seats.values()) {
    if (laggards.size >= SEEN_MAX) break
    if (seat.inFlight.size > 0) look(core, seat, laggards)
  }
  return laggards
}

/** What the peer has in its hands: first what it runs, then what waits there. */
function look(core: Core, seat: Seat, laggards: Map<Unit, Laggard>): void {
  const { job, peer, inFlight } = seat
  const note = (laggard: Laggard) => {
    const known = laggards.get(laggard.unit)
    if (known === undefined || laggard.endMs < known.endMs) laggards.set(laggard.unit, laggard)
  }
  const unitMs = unitMsOf(seat)
  const held: { unit: Unit; holder: Holder }[] = []
  let silence = 1
  for (const unit of inFlight.values()) {
    const holder = holderOf(unit, seat)
    if (holder === undefined) continue
    held.push({ unit, holder })
    if (holder.begunAt !== null) silence *= job.shape.survival(Math.max(0, core.now - holder.begunAt) / unitMs)
  }
  const stallChance = STALL_CHANCE / (STALL_CHANCE + (1 - STALL_CHANCE) * silence)
  let [soonest, queued] = [Number.POSITIVE_INFINITY, 0]
  for (const { unit, holder } of held) {
    if (holder.begunAt === null) continue
    const ageMs = Math.max(0, core.now - holder.begunAt)
    const age = ageMs / unitMs
    const endMs = (1 - stallChance) * job.shape.residual(age) * unitMs + stallChance * ageMs
    soonest = Math.min(soonest, endMs)
    note({ unit, holder, begun: true, endMs, stallChance, age })
  }
  if (soonest === Number.POSITIVE_INFINITY) soonest = 0
  for (const { unit, holder } of held) {
    if (holder.begunAt !== null) continue
    const endMs = soonest + unitMs * (1 + queued++ / peer.ad.cpus)
    note({ unit, holder, begun: false, endMs, stallChance, age: 0 })
  }
}

/** Moves or copies the unit to whoever ends it soonest, if that gains anything. */
function relieve(core: Core, job: Job, laggard: Laggard, takers: readonly Taker[]): boolean {
  const { unit, holder, begun, endMs } = laggard
  if (unit.missing > 0) return false
  if (
    begun &&
    (unit.spared >= LIMITS.SPARE_COPIES_MAX || (!isTimed(job) && core.now - holder.since < job.policy.timeoutMs))
  )
    return false
  let best: { taker: Taker; slot: number; endMs: number } | null = null
  for (const taker of takers) {
    if ((holderOf(unit, taker.seat)?.holding ?? 'gone') !== 'gone') continue
    const slot = soonestOf(taker.freeMs)
    const copyEndMs = (taker.freeMs[slot] ?? 0) + timeOf(laggard, job) * taker.unitMs
    if (best === null || copyEndMs < best.endMs) best = { taker, slot, endMs: copyEndMs }
  }
  if (best === null || endMs - best.endMs < GAIN_LEAST_MS) return false
  const { taker, slot } = best
  if (begun) {
    unit.spare += 1
    unit.spared += 1
  } else {
    revoke(core, holder.seat, unit.index)
    giveBack(core, unit, holder)
  }
  hand(core, job, unit, taker.seat)
  taker.given.push(unit.index)
  taker.freeMs[slot] = best.endMs
  return true
}

/** Mean times of a unit that a fresh run of it is expected to take. */
function timeOf({ begun, stallChance, age }: Laggard, job: Job): number {
  return begun ? (1 - stallChance) * (age + job.shape.residual(age)) + stallChance : 1
}

function soonestOf(times: readonly number[]): number {
  let soonest = 0
  for (let i = 1; i < times.length; i++) if ((times[i] ?? 0) < (times[soonest] ?? 0)) soonest = i
  return soonest
}
