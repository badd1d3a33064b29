/** Seats and units of the scheduler core, as `explain` and tests look at them. */

import type { Reason } from '../../../protocol/reasons.ts'
import type { Blame } from '../../../protocol/work.ts'
import { canOpen, isBehind } from './grants.ts'
import { barredReason, freshReason, generalReason, standingOf } from './reasons.ts'
import type { Holder, Holding, Job, Seat, Unit } from './state.ts'

export type SeatView = {
  peer: string
  up: boolean
  fits: boolean
  inFlight: number
  window: number
  agreed: number
  outvoted: number
  distrusted: boolean
  refusal: string | null
  /** Resting until then, and the code that brought it; null: not resting. */
  rest: { until: number; code: string } | null
  /** How far it is with the files of the job, bytes; null: it fetches none. */
  fetched: { bytes: number; of: number } | null
  /** Until its owner gives it back, by the peer's own word; null: not paused, or not known. */
  returnsInMs: number | null
  /** Why it is given nothing; null: it has units, or is not up. */
  reason: Reason | null
  /** How long it has been so. */
  sinceMs: number
}

export type UnitView = {
  /** Why it is in nobody's hands; null: it is. */
  reason: Reason | null
  /** How long it has been so: in hands, or waiting for this reason. */
  sinceMs: number
  /** Copies wanted beyond those in hands. */
  missing: number
  /** One for each peer it was ever given to and that is not forgotten. */
  attempts: AttemptView[]
}

type AttemptView = {
  peer: string
  /** `running`: in its hands, there in its queue or begun. */
  holding: Holding
  /** Since it was given the unit. */
  givenMs: number
  said: { ok: true; digest: string } | { ok: false; code: string; message: string; blame: Blame } | null
}

export function seatView(seat: Seat, now: number): SeatView {
  const { peer, misfit, inFlight, window, agreed, outvoted, distrusted, admitted, refusal } = seat
  return {
    peer: peer.id,
    up: peer.up,
    fits: misfit === null,
    inFlight: inFlight.size,
    window: window.size,
    agreed,
    outvoted,
    distrusted: distrusted || !admitted,
    refusal,
    fetched: now < seat.restUntil ? seat.fetched : null,
    rest: now < seat.restUntil ? { until: seat.restUntil, code: seat.restCode ?? '' } : null,
    returnsInMs: peer.returnsAt === null ? null : Math.max(0, peer.returnsAt - now),
    ...ownReason(seat, now),
  }
}

/** From the peer's side: one that has units is not idle, and one that could have some may find none left for it. */
function ownReason(seat: Seat, now: number): Pick<SeatView, 'reason' | 'sinceMs'> {
  const { job, inFlight } = seat
  const { reason, since } = standingOf(seat, now)
  const sinceMs = Math.max(0, now - since)
  if (inFlight.size > 0) return { reason: null, sinceMs }
  if (job.gate !== null) return { reason: job.gate.reason, sinceMs: now - job.gate.since }
  if (!seat.usable || now < seat.restUntil) return { reason, sinceMs }
  const idleMs = Math.max(0, now - Math.max(since, seat.lastEndAt))
  if (job.idle.has(seat) || (job.pool.copies + job.later.copies === 0 && !canOpen(job)))
    return { reason: 'all-given', sinceMs: idleMs }
  return { reason: 'busy', sinceMs: idleMs }
}

/** Null for a unit that is decided. */
export function unitView(job: Job, index: number, now: number): UnitView | null {
  const unit = job.open.get(index)
  const general = generalReason(job, now)
  if (unit === undefined) {
    const decided = index < job.cursor || isBehind(job, index)
    if (decided) return null
    const reason = freshReason(job, general.reason)
    const { since } = general
    return { reason, sinceMs: Math.max(0, now - since), missing: job.verification.copies, attempts: [] }
  }
  const attempts = unit.holders.map((holder) => attemptView(holder, now))
  const { missing } = unit
  if (unit.running > 0) {
    const running = attempts.filter(({ holding }) => holding === 'running').map(({ givenMs }) => givenMs)
    return { reason: null, sinceMs: Math.max(...running), missing, attempts }
  }
  const own = waitsFor(job, unit) ?? (general.reason === 'busy' ? barredReason(job, unit) : null)
  const lastGiven = Math.max(...unit.holders.map(({ since }) => since))
  const since = Math.max(lastGiven, own === null ? general.since : 0)
  return { reason: own ?? general.reason, sinceMs: Math.max(0, now - since), missing, attempts }
}

/** What a unit waits for that no peer would bring about sooner. */
function waitsFor(job: Job, unit: Unit): Reason | null {
  if (unit.asked !== null && unit.asked.size > 0) return 'comparing'
  return job.withheld.has(unit) ? 'unconfirmed' : null
}

function attemptView({ seat, holding, since, said, fault }: Holder, now: number): AttemptView {
  const end = said ?? (fault === null ? null : { ok: false as const, ...fault })
  const givenMs = Math.max(0, now - since)
  if (end === null) return { peer: seat.peer.id, holding, givenMs, said: null }
  if (end.ok) return { peer: seat.peer.id, holding, givenMs, said: { ok: true, digest: end.digest } }
  const { code, message, blame } = end
  return { peer: seat.peer.id, holding, givenMs, said: { ok: false, code, message, blame } }
}
