/** Why units wait and why peers are given none: worked out when somebody asks, from what is in memory anyway. */

import { nearest, type Reason } from '../../../protocol/reasons.ts'
import { largestClass } from './alike.ts'
import { canOpen } from './grants.ts'
import { isBarred } from './pool.ts'
import type { Job, Seat, Unit } from './state.ts'

export type Standing = {
  /** Null for a peer that is not up. */
  reason: Reason | null
  since: number
}

/** A refusal that stands, by what it is about. */
export function reasonOfRefusal(code: string): Reason {
  if (code === 'E_OWN_LIMITS' || code === 'E_DISK_BUDGET') return 'own-limits'
  return code === 'E_NO_OS_SANDBOX' ? 'untrusted' : 'refused'
}

function reasonOfRest(code: string | null): Reason {
  if (code === 'E_PAUSED') return 'paused'
  if (code === 'E_FETCHING') return 'fetching'
  return code === 'E_BUSY' ? 'busy' : 'backoff'
}

/** Why a unit that waits is not with this peer. */
export function standingOf(seat: Seat, now: number): Standing {
  const { block, blockedAt, restUntil, restedAt, restCode } = seat
  if (block === 'away') return { reason: null, since: blockedAt }
  if (block === 'paused') return { reason: block, since: seat.peer.pausedAt ?? blockedAt }
  if (block !== null) return { reason: block, since: blockedAt }
  if (now < restUntil) return { reason: reasonOfRest(restCode), since: restedAt }
  return { reason: 'busy', since: Math.max(blockedAt, restUntil) }
}

/** Why units wait that any usable peer could run. */
export function generalReason(job: Job, now: number): { reason: Reason; since: number } {
  if (job.gate !== null) return job.gate
  if (job.usable > 0 && largestClass(job) < job.verification.copies)
    return { reason: 'quorum-short', since: job.changedAt }
  const present = new Map<Reason, number>()
  for (const seat of job.seats.values()) {
    const { reason, since } = standingOf(seat, now)
    // Who offers no cores is no peer to a unit.
    if (reason === null || reason === 'no-cores') continue
    present.set(reason, Math.min(since, present.get(reason) ?? since))
  }
  const reason = nearest(present.keys())
  const first = Math.max(job.addedAt, present.get(reason) ?? 0)
  // A peer that stands further off now may have stood nearer before.
  return { reason, since: reason === 'busy' ? first : Math.max(first, lastChangeOfOthers(job, reason, now)) }
}

/** The same for units never given out, which are not begun while too many are undecided. */
export function freshReason(job: Job, general: Reason): Reason {
  return general === 'busy' && !canOpen(job) ? 'undecided-full' : general
}

function lastChangeOfOthers(job: Job, reason: Reason, now: number): number {
  let last = 0
  for (const seat of job.seats.values()) {
    const standing = standingOf(seat, now)
    if (standing.reason !== reason) last = Math.max(last, standing.since)
  }
  return last
}

/**
 * Why an open unit waits that none of the usable peers may run now: they failed it a moment ago, or they have spoken and
 * their word alone is not enough. Null where a usable peer may run it.
 */
export function barredReason(job: Job, { bucket, waits }: Pick<Unit, 'bucket' | 'waits'>): Reason | null {
  if (bucket === null) return null
  for (const seat of job.seats.values()) if (seat.usable && !isBarred(bucket, seat)) return null
  return waits ? 'backoff' : 'quorum-short'
}
