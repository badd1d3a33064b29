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
import { isAlike } from './alike.ts'
import { enlist, roomOf } from './grants.ts'
import { isTimed, unitMsOf } from './pace.ts'
import { type Core, freshCount, type Holder, type Job, type Seat, slotsOf, type Unit } from './state.ts'
import { giveBack, hand, holderOf, revoke } from './units.ts'

const CHECK_MS = 100
const CHECK_MAX_MS = 2_000
/** The chance that a peer which is silent has stalled, before anything speaks for it. */
const STALL_CHANCE = 0.01
/** What is gained less than this is lost again on the way. */
const GAIN_LEAST_MS = 25
/** In one check: units seen, the latest of them that are tried to be moved or copied, peers they may go to. */
const SEEN_MAX = 4_096
const TRIES_MAX = 256
const TAKERS_MAX = 256

/** A unit somewhere, and when it is expected to end there if nothing is done, milliseconds from now. */
type Laggard = { unit: Unit; holder: Holder; begun: boolean; endMs: number; stallChance: number; age: number }
/** A peer, when a unit given to it would begin on each of its slots, milliseconds from now, and how many it may be given. */
type Taker = { seat: Seat; freeMs: number[]; unitMs: number; room: number; given: number[] }

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
  const laggards = new Map<Unit, Laggard>()
  const takers: Taker[] = []
  for (const seat of job.seats.values()) {
    const busyMs = look(core, seat, laggards)
    const most = job.idle.has(seat) ? TAKERS_MAX : TAKERS_MAX / 2
    if (takers.length < most) takers.push(takerOf(core, seat, busyMs))
    if (laggards.size >= SEEN_MAX) break
  }
  let room = takers.reduce((sum, taker) => sum + taker.room, 0)
  const latest = [...laggards.values()].sort((a, b) => b.endMs - a.endMs).slice(0, TRIES_MAX)
  for (const laggard of latest) {
    if (room <= 0) break
    if (relieve(core, job, laggard, takers)) room -= 1
  }
  for (const { seat, given } of takers) {
    if (given.length === 0) continue
    if (seat.inFlight.size === given.length) seat.lastEndAt = core.now
    enlist(core, seat)
    core.effects.push({ type: 'run', peer: seat.peer.id, job: job.spec.id, units: given })
  }
}

/** One that is busy is given nothing now, but may be worth waiting for. */
function takerOf(core: Core, seat: Seat, busyMs: readonly number[]): Taker {
  const { peer, job, usable } = seat
  const freeMs = [...busyMs]
  if (!usable || core.now < seat.restUntil) freeMs.length = 0
  else for (let slot = freeMs.length; slot < Math.min(slotsOf(seat), TRIES_MAX); slot++) freeMs.push(peer.latencyMs)
  return { seat, freeMs, unitMs: unitMsOf(seat), room: job.idle.has(seat) ? roomOf(core, seat) : 0, given: [] }
}

/**
 * What the peer has in its hands: first what it runs, then what waits there. Of several copies of a unit the one
 * expected to end first counts. Returns when each of its busy slots is free again.
 */
function look(core: Core, seat: Seat, laggards: Map<Unit, Laggard>): number[] {
  const { job } = seat
  const begun: { unit: Unit; holder: Holder }[] = []
  const queued: { unit: Unit; holder: Holder }[] = []
  for (const unit of seat.inFlight.values()) {
    const holder = holderOf(unit, seat)
    if (holder !== undefined) (holder.begunAt === null ? queued : begun).push({ unit, holder })
  }
  if (begun.length === 0) return []
  const note = (laggard: Laggard) => {
    const known = laggards.get(laggard.unit)
    if (known === undefined || laggard.endMs < known.endMs) laggards.set(laggard.unit, laggard)
  }
  const unitMs = unitMsOf(seat)
  const ageOf = ({ begunAt }: Holder) => Math.max(0, core.now - (begunAt ?? core.now)) / unitMs
  const silence = begun.reduce((product, { holder }) => product * job.shape.survival(ageOf(holder)), 1)
  const stallChance = STALL_CHANCE / (STALL_CHANCE + (1 - STALL_CHANCE) * silence)
  const freeMs: number[] = []
  for (const { unit, holder } of begun) {
    const age = ageOf(holder)
    const endMs = ((1 - stallChance) * job.shape.residual(age) + stallChance * age) * unitMs
    freeMs.push(endMs)
    note({ unit, holder, begun: true, endMs, stallChance, age })
  }
  for (const { unit, holder } of queued) {
    const slot = soonestOf(freeMs)
    const endMs = (freeMs[slot] ?? 0) + unitMs
    freeMs[slot] = endMs
    note({ unit, holder, begun: false, endMs, stallChance, age: 0 })
  }
  return freeMs
}

/** Moves or copies the unit to whoever ends it soonest, if that gains anything and can be done now. */
function relieve(core: Core, job: Job, laggard: Laggard, takers: readonly Taker[]): boolean {
  const { unit, holder, begun, endMs } = laggard
  if (unit.missing > 0 || (begun && !mayCopy(core, job, laggard))) return false
  const times = begun ? timesOfCopy(laggard, job) : 1
  let best: { taker: Taker; slot: number; endMs: number } | null = null
  for (const taker of takers) {
    if (
      taker.freeMs.length === 0 ||
      !isAlike(unit.alike, taker.seat) ||
      (holderOf(unit, taker.seat)?.holding ?? 'gone') !== 'gone'
    )
      continue
    const slot = soonestOf(taker.freeMs)
    const there = (taker.freeMs[slot] ?? 0) + times * taker.unitMs
    if (best === null || there < best.endMs) best = { taker, slot, endMs: there }
  }
  if (best === null || endMs - best.endMs < GAIN_LEAST_MS) return false
  const { taker, slot } = best
  taker.freeMs[slot] = best.endMs
  if (taker.given.length >= taker.room) return false
  if (begun) {
    unit.spare += 1
    unit.spared += 1
  } else {
    revoke(core, holder.seat, unit.index)
    giveBack(core, unit, holder)
  }
  hand(core, job, unit, taker.seat)
  // Two that plot could agree to lie just here: between them they have one voice.
  if (begun && unit.needs === 1 && unit.holders.every(({ said }) => said === null)) {
    for (const each of unit.holders) each.together = each.together || each.holding === 'running'
  }
  taker.given.push(unit.index)
  return true
}

/** While no unit of the job has ended, nothing is known of their times but the longest they may take. */
function mayCopy(core: Core, job: Job, { unit, holder }: Laggard): boolean {
  if (unit.spared >= LIMITS.SPARE_COPIES_MAX) return false
  return isTimed(job) || core.now - holder.since >= job.policy.timeoutMs
}

/** Mean times of a unit that a fresh run of it is expected to take. */
const timesOfCopy = ({ stallChance, age }: Laggard, job: Job): number =>
  (1 - stallChance) * (age + job.shape.residual(age)) + stallChance

function soonestOf(times: readonly number[]): number {
  let soonest = 0
  for (let i = 1; i < times.length; i++) if ((times[i] ?? 0) < (times[soonest] ?? 0)) soonest = i
  return soonest
}
