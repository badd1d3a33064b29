/**
 * What a unit of a job takes on a peer, as the submitter sees it: from when it came to the head of the peer's queue to
 * its end. So whatever slows a peer counts: its machine, its other submitters, the way to it.
 */

import type { UnitIndex } from './events.ts'
import { type Core, type Job, type Seat, slotsOf } from './state.ts'
import { holderOf } from './units.ts'

/** Sums that fade: of the time slots were busy, and of the units that ended in it. */
export type Pace = { busyMs: number; ends: number }

export type SeatPace = Pace & {
  /** The longest that a unit was run here in vain, since something ended here. */
  vainMs: number
}

/** After so many ends what was measured before weighs half. */
const HALF_LIFE_ENDS = 32
/** What a peer says of its speed counts like so many measured ends. */
const STATED_ENDS = 1
/** A peer that has ended nothing for so many unit times is taken to be that much slower. */
const SILENT_UNITS = 3
const LEAST_MS = 1e-3

/** What was measured of the way to the peer falls at once and rises slowly: a full queue is not a long way. */
const LATENCY_RISE = 1 / 8

/** How long it had the unit is the peer's own word. */
export function noteLatency(core: Core, seat: Seat, [index, heldMs]: [unit: UnitIndex, ms: number]): void {
  const unit = seat.inFlight.get(index)
  const holder = unit === undefined ? undefined : holderOf(unit, seat)
  if (holder === undefined) return
  const { peer } = seat
  const ms = Math.max(0, core.now - holder.since - heldMs)
  if (peer.latencyMs === 0 || ms < peer.latencyMs) peer.latencyMs = ms
  else peer.latencyMs += (ms - peer.latencyMs) * LATENCY_RISE
}

/** The first units in the peer's hands are those it runs. Call it whenever they may be others than before. */
export function markBegun(core: Core, seat: Seat): void {
  let slots = slotsOf(seat)
  for (const unit of seat.inFlight.values()) {
    if (slots-- === 0) return
    const holder = holderOf(unit, seat)
    // One that was given out just now is on its way first.
    if (holder !== undefined) holder.begunAt ??= core.now + (holder.since === core.now ? seat.peer.latencyMs : 0)
  }
}

/** Takes in the ends of one frame: the times of those begun, and how many ended with them. */
export function notePace(core: Core, seat: Seat, begunMs: readonly number[], ended: number): void {
  const { job, pace, peer } = seat
  let busyMs = 0
  for (const ms of begunMs) busyMs += ms
  // They were not those at the head of its queue: slots differ.
  if (begunMs.length === 0) busyMs = (core.now - seat.lastEndAt) * Math.min(slotsOf(seat), ended)
  busyMs = Math.max(busyMs, LEAST_MS * ended)
  const mean = unitMsOf(seat)
  if (job.reference.ends > 0) {
    if (ended > begunMs.length) job.shape.add(busyMs / ended / mean)
    else for (const ms of begunMs) job.shape.add(ms / mean)
  } else job.weighAt = 0
  pace.vainMs = 0
  fade(pace, busyMs, ended)
  fade(job.reference, busyMs * peer.ad.speed, ended)
}

/** A unit it had begun is not waited for any longer: it takes that long at least here. */
export function noteUnended(core: Core, seat: Seat, begunAt: number | null): void {
  if (begunAt !== null) seat.pace.vainMs = Math.max(seat.pace.vainMs, core.now - begunAt)
}

/** Mean time of a unit on one slot of the peer, milliseconds; of no meaning but as a ratio while nothing has ended. */
export function unitMsOf({ job, pace, peer }: Seat): number {
  const { busyMs, ends } = job.reference
  const statedMs = (ends === 0 ? 1 : busyMs / ends) / peer.ad.speed
  return Math.max(pace.vainMs, (STATED_ENDS * statedMs + pace.busyMs) / (STATED_ENDS + pace.ends))
}

/** Units a millisecond that the peer can be counted on for, now. */
export function rateOf(core: Core, seat: Seat): number {
  const unitMs = unitMsOf(seat)
  const silentMs = seat.inFlight.size === 0 ? 0 : core.now - seat.lastEndAt
  return slotsOf(seat) / Math.max(unitMs, isTimed(seat.job) ? silentMs / SILENT_UNITS : 0)
}

/** Whether any unit of the job has ended here: until then nothing is known of their times. */
export const isTimed = (job: Job): boolean => job.reference.ends > 0

function fade(pace: Pace, busyMs: number, ends: number): void {
  const keep = 0.5 ** (ends / HALF_LIFE_ENDS)
  pace.busyMs = pace.busyMs * keep + busyMs
  pace.ends = pace.ends * keep + ends
}
