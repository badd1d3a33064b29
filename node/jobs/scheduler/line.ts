/**
 * The jobs of one peer: only so many are at it at once, the others stand in line and take turns. So a worker is told
 * of a bounded number of jobs, its queue is not cut into crumbs, and no event costs more with more jobs.
 *
 * Turns are shared by priority, as start-time fair queueing shares slots at the worker: a turn adds 2^-priority to the
 * tag of the seat, the lowest tag is next, and who comes new starts at the tag of who was served last. Jobs that were
 * never given out anywhere have a line and places of their own: neither kind waits for the other.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import type { Core, Peer, Seat } from './state.ts'
import { Timers } from './timers.ts'

/** A seat whose job has had a peer so long makes room when others stand in line. */
export const TURN_MS = 2_000
/** Among new jobs a step of priority counts as much as so long a wait. */
const STEP_MS = 10_000
/** Jobs at a peer at once, of either kind: some for each slot, as a job may have one unit only. */
const PLACES_MIN = 16
const PLACES_PER_SLOT = 2
const PLACES_MAX = LIMITS.JOBS_TOLD_MAX / 2

/** Seats of one peer in jobs of one kind: those with units in flight, and those that wait, by what is to come first. */
type Line = { readonly active: Set<Seat>; readonly waiting: Timers<Seat> }

export type Lines = {
  readonly fresh: Line
  readonly begun: Line
  /** Seats whose job the peer was told of, longest ago first. */
  readonly told: Set<Seat>
  /** The tag of the seat last served. */
  tag: number
}

export const newLines = (): Lines => ({
  fresh: { active: new Set(), waiting: new Timers() },
  begun: { active: new Set(), waiting: new Timers() },
  told: new Set(),
  tag: 0,
})

/** Jobs that have units at the peer. */
export const activeJobs = ({ lines }: Peer): number => lines.fresh.active.size + lines.begun.active.size

export function* activeSeats({ lines }: Peer): Iterable<Seat> {
  yield* lines.fresh.active
  yield* lines.begun.active
}

/** Whether the seat may have units at its peer, or more of them. */
export function hasPlace(core: Core, seat: Seat): boolean {
  const { peer, job, inFlight, turnAt } = seat
  const { fresh, begun } = peer.lines
  if (inFlight.size === 0) {
    const { active, waiting } = job.begun ? begun : fresh
    return active.size < placesAt(peer) && (waiting.size === 0 || seat.called)
  }
  return (fresh.waiting.size === 0 && begun.waiting.size === 0) || core.now - turnAt < TURN_MS
}

/** The seat waits for a place; once is enough. */
export function standInLine(core: Core, seat: Seat): void {
  const { peer, job } = seat
  core.freed.add(peer)
  if (seat.inLine) return
  seat.inLine = true
  seat.tag = Math.max(seat.tag, peer.lines.tag)
  if (job.begun) peer.lines.begun.waiting.set(seat.tag, seat)
  else peer.lines.fresh.waiting.set(core.now - job.policy.priority * STEP_MS, seat)
}

/** Those next in line for whom the peer has a place, as long as it has. */
export function* fromLine(core: Core, peer: Peer): Iterable<Seat> {
  for (const { active, waiting } of [peer.lines.fresh, peer.lines.begun]) {
    while (active.size < placesAt(peer)) {
      const seat = waiting.take(Number.POSITIVE_INFINITY)
      if (seat === null) break
      seat.inLine = false
      if (core.jobs.get(seat.job.spec.id) !== seat.job) continue
      peer.lines.tag = Math.max(peer.lines.tag, seat.tag)
      seat.called = true
      yield seat
      seat.called = false
      // Back at once: what is missing is room for units.
      if (seat.inLine) break
    }
  }
}

/** The seat is about to be given units while it has none. */
export function takePlace(core: Core, seat: Seat): void {
  const { peer, job } = seat
  const { lines } = peer
  const crowded = lines.fresh.waiting.size > 0 || lines.begun.waiting.size > 0
  seat.tag = crowded ? Math.max(seat.tag, lines.tag) + 2 ** -job.policy.priority : lines.tag
  seat.turnAt = core.now
  const line = job.begun ? lines.begun : lines.fresh
  line.active.add(seat)
  job.begun = true
  tell(core, seat)
}

/** The seat has no units any more. */
export function leavePlace(seat: Seat): void {
  const { fresh, begun } = seat.peer.lines
  fresh.active.delete(seat)
  begun.active.delete(seat)
}

/** The job has ended, or the session with the peer, and with it all it was told. */
export function leaveLine(seat: Seat): void {
  leavePlace(seat)
  seat.peer.lines.told.delete(seat)
}

/** A peer that knows too many jobs forgets the one it was given units of longest ago. */
function tell(core: Core, seat: Seat): void {
  const { told } = seat.peer.lines
  told.delete(seat)
  told.add(seat)
  if (told.size <= LIMITS.JOBS_TOLD_MAX) return
  for (const other of told) {
    if (other === seat || other.inFlight.size > 0) continue
    told.delete(other)
    core.effects.push({ type: 'revoke', peer: other.peer.id, job: other.job.spec.id, units: null })
    return
  }
}

const placesAt = ({ ad }: Peer): number => Math.min(PLACES_MAX, Math.max(PLACES_MIN, PLACES_PER_SLOT * ad.cpus))
