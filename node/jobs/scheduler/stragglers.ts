/** Near the end of a job, when peers have room and nothing is left to give: work is taken from those that are behind. */

import { LIMITS } from '../../../protocol/limits.ts'
import { type Core, freshCount, type Job, type Seat, type Unit } from './state.ts'
import { giveBack, holderOf, place, revoke } from './units.ts'

const CHECK_MS = 100
/** A unit is behind after this many typical turnarounds, and not before SLACK_MS. */
const BEHIND_FACTOR = 2
const SLACK_MS = 200
/** Units moved or copied in one check. */
const MOVES_MAX = 256
/** Idle seats looked at for one that may take a unit. */
const TAKERS_SEEN_MAX = 32

/** Sets the next check if there is anything to gain from it. */
export function watchStragglers(core: Core, job: Job): void {
  if (job.watching || job.idle.size === 0 || job.running === 0 || freshCount(job) > 0) return
  job.watching = true
  core.timers.set(core.now + CHECK_MS, { kind: 'stragglers', job })
}

export function checkStragglers(core: Core, job: Job): void {
  job.watching = false
  if (job.idle.size === 0 || job.running === 0 || freshCount(job) > 0) return
  let moves = 0
  for (const { peer, inFlight, window } of job.idle) {
    moves += Math.max(peer.ad.cpus - inFlight.size, Math.ceil(2 * CHECK_MS * window.rate))
  }
  moves = Math.min(moves, MOVES_MAX)
  for (const seat of job.seats.values()) {
    if (moves <= 0) break
    if (seat.inFlight.size > 0) moves -= relieve(core, seat, moves)
  }
  core.stirred.add(job)
}

/** Takes units the peer has not begun, last first, and has those it should have ended by now run elsewhere too. */
function relieve(core: Core, seat: Seat, moves: number): number {
  const { job, window } = seat
  const slots = seat.peer.ad.cpus
  const limitMs = BEHIND_FACTOR * job.turnaroundMs + SLACK_MS
  let moved = 0
  const units = [...seat.inFlight.values()]
  for (let position = units.length - 1; position >= 0 && moved < moves; position--) {
    const unit = units[position]
    const holder = unit === undefined ? undefined : holderOf(unit, seat)
    if (unit === undefined || holder === undefined || !hasTaker(job, unit)) continue
    const age = core.now - holder.since
    if (position >= slots) {
      // A peer that has ended nothing for a while is slower than it was.
      const silentMs = core.now - Math.max(seat.lastEndAt, holder.since)
      const waitMs = Math.max(silentMs, window.rate > 0 ? (position + 1 - slots) / window.rate : 0)
      if (waitMs <= SLACK_MS) continue
      revoke(core, seat, unit.index)
      giveBack(core, unit, holder)
      moved += 1
    } else if (age > (job.turnaroundMs === 0 ? job.policy.timeoutMs : limitMs) && copy(core, job, unit, limitMs)) {
      moved += 1
    }
  }
  return moved
}

/** One further copy, unless one was made lately or there were enough. */
function copy(core: Core, job: Job, unit: Unit, limitMs: number): boolean {
  if (unit.missing > 0 || unit.spared >= LIMITS.SPARE_COPIES_MAX) return false
  for (const { holding, since } of unit.holders) {
    if (holding === 'running' && core.now - since <= limitMs) return false
  }
  unit.spare += 1
  unit.spared += 1
  place(core, job, unit)
  return true
}

function hasTaker(job: Job, unit: Unit): boolean {
  let seen = 0
  for (const seat of job.idle) {
    if ((holderOf(unit, seat)?.holding ?? 'gone') === 'gone') return true
    seen += 1
    if (seen === TAKERS_SEEN_MAX) return false
  }
  return false
}
