/**
 * A peer that was caught is not lost for good: after a rest it is given units that are settled, which it cannot tell from
 * others, and with enough of them right it is given work again.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { relationOf } from '../verification/agreement.ts'
import type { SaidValue } from '../verification/verification.ts'
import { isAlike } from './alike.ts'
import { admissionOf, admit, catchAgain } from './credit.ts'
import type { AttemptEnd } from './events.ts'
import type { Core, Job, Seat, Unit } from './state.ts'

export type Canary = { unit: number; alike: string | null; said: SaidValue; peers: Set<string> }

const NO_ANSWERS: ReadonlyMap<string, boolean> = new Map()

/** Two or more peers found this; `agree: function` would take a sandbox to compare with. */
export function keepCanary(job: Job, { index, alike }: Unit, said: SaidValue, peers: readonly string[]): void {
  if (job.policy.agree.kind === 'function') return
  job.canaries.push({ unit: index, alike, said, peers: new Set(peers) })
  if (job.canaries.length > LIMITS.CANARY_UNITS_KEPT_MAX) job.canaries.shift()
}

/** One at a time, and none that the peer has seen. */
export function giveCanary(core: Core, seat: Seat): void {
  const { peer, job, canary, admitted, misfit, refusal } = seat
  if (admitted || canary !== null || job.gate !== null || !peer.up || peer.pausedAt !== null) return
  if (misfit !== null || refusal !== null || peer.ad.cpus === 0) return
  if (admissionOf(core, peer.id) !== 'canary') return
  const next = job.canaries.find(({ peers, alike }) => !peers.has(peer.id) && isAlike(alike, seat))
  if (next === undefined) return
  next.peers.add(peer.id)
  seat.canary = next
  core.effects.push({ type: 'run', peer: peer.id, job: job.spec.id, units: [next.unit], canary: true })
}

/** True: the end was of a canary. */
export function hearCanary(core: Core, seat: Seat, end: AttemptEnd): boolean {
  const { canary, job, peer } = seat
  if (canary === null || canary.unit !== end.unit) return false
  seat.canary = null
  job.executions += 1
  if (!end.ok) return true
  const { digest, value } = end
  const same = digest === canary.said.digest || agrees(job, canary.said, { ok: true, digest, value })
  if (same) core.book.confirm([peer.id], core.now)
  else catchAgain(core, seat, end.unit)
  core.credited.add(peer.id)
  for (const other of peer.seats) if (other.job.crediting) admit(core, other)
  giveCanary(core, seat)
  return true
}

const agrees = (job: Job, a: SaidValue, b: SaidValue): boolean =>
  relationOf(job.policy.agree)(a, b, NO_ANSWERS) === true
