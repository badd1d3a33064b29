/** Why peers get nothing of a job: those with a session as the scheduler sees them, the others as the mesh knows them. */

import type { PeerGroup } from '../../protocol/explanation.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { REASON_CODES, REASONS, type Reason } from '../../protocol/reasons.ts'
import type { Candidate } from './matching/expression.ts'
import type { MatchedPolicy } from './matching/policy.ts'
import type { SeatView } from './scheduler/views.ts'

/** How one known peer stands to one job. */
export type PeerStanding = {
  peer: string
  name: string
  /** Units in its hands. */
  units: number
  /** Null while it has units. */
  reason: Reason | null
  sinceMs: number
  returnsInMs: number | null
  /** Of a refusal or a fault. */
  code: string | null
  /** Of the files of the job, bytes; null: it fetches none. */
  fetched: { bytes: number; of: number } | null
  seat: SeatView | null
}

type Known = {
  candidates: readonly Candidate[]
  seats: readonly SeatView[]
  matched: MatchedPolicy
  /** What holds back every peer alike. */
  overall: { reason: Reason; sinceMs: number } | null
  /** How long the job has been waiting for peers without a session. */
  waitedMs: number
  now: number
}

export function standingsOf({ candidates, seats, matched, overall, waitedMs, now }: Known): PeerStanding[] {
  const byPeer = new Map(seats.map((seat) => [seat.peer, seat]))
  return candidates.map((candidate): PeerStanding => {
    const seat = byPeer.get(candidate.id) ?? null
    const base = { peer: candidate.id, name: candidate.ad.name, seat, returnsInMs: null, code: null, fetched: null }
    if (overall !== null) return { ...base, units: 0, ...overall }
    if (seat?.up) {
      const { inFlight: units, reason, sinceMs, refusal, rest, fetched } = seat
      const restsMs =
        rest === null || reason === 'paused' || reason === 'fetching' ? null : Math.max(0, rest.until - now)
      const returnsInMs = seat.returnsInMs ?? restsMs
      return { ...base, units, reason, sinceMs, returnsInMs, code: refusal ?? rest?.code ?? null, fetched }
    }
    const { paused } = candidate.ad
    const misfit = matched.misfit(candidate)
    if (misfit === null && paused !== null) {
      return { ...base, units: 0, reason: 'paused', sinceMs: paused.forMs, returnsInMs: paused.returnsInMs }
    }
    return {
      ...base,
      units: 0,
      reason: misfit ?? 'connecting',
      sinceMs: candidate.blockedMs ?? seat?.sinceMs ?? waitedMs,
    }
  })
}

/** By reason, in the order of the list. */
export function groupsOf(standings: readonly PeerStanding[]): PeerGroup[] {
  return REASON_CODES.flatMap((reason) => {
    const group = standings.filter((standing) => standing.reason === reason)
    if (group.length === 0) return []
    const returns = group.flatMap(({ returnsInMs }) => (returnsInMs === null ? [] : [returnsInMs]))
    const codes = new Set(group.flatMap(({ code }) => (code === null ? [] : [code])))
    return {
      reason,
      says: REASONS[reason].says,
      peers: group.length,
      sinceMs: Math.max(...group.map(({ sinceMs }) => sinceMs)),
      returnsInMs: returns.length === 0 ? null : Math.min(...returns),
      fetched: sumOf(group),
      codes: [...codes].slice(0, LIMITS.EXPLAIN_NAMES_MAX),
      names: group.slice(0, LIMITS.EXPLAIN_NAMES_MAX).map(({ name, peer }) => name || peer),
    }
  })
}

function sumOf(group: readonly PeerStanding[]): PeerGroup['fetched'] {
  const fetching = group.flatMap(({ fetched }) => fetched ?? [])
  if (fetching.length === 0) return null
  const sum = (of: (one: { bytes: number; of: number }) => number): number =>
    fetching.reduce((all, one) => all + of(one), 0)
  return { bytes: sum(({ bytes }) => bytes), of: sum(({ of }) => of) }
}
