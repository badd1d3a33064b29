/**
 * What a submitter's work weighs on this machine against that of others, when all want slots: what the owner says of
 * it, times what its own machine has done for this one.
 *
 *     weight = owner's weight * (1 + (RECIPROCITY_MAX - 1) * done / (done + RECIPROCITY_HALF_MS))
 *
 * `done` is slot time, of units of this node that the submitter ran and whose results were accepted (see `noteServed`).
 * The factor is 1 for a newcomer and for who only takes, rises at once with the first work done, and never passes
 * RECIPROCITY_MAX: nobody is starved by those who did more.
 */

import { LIMITS } from '../../protocol/limits.ts'
import type { Role } from '../../protocol/membership/roles.ts'

/** The owner's word: for this machine's own jobs, for members of the mesh, for strangers, and for single peers by id. */
export type Shares = { self: number; member: number; stranger: number; peers: Readonly<Record<string, number>> }

/** Who asks: a member of the mesh, a stranger of an open mesh, or this node itself. */
export type Submitter = { id: string; role: Role | 'self' }

export function weightOf(shares: Shares, { id, role }: Submitter, doneMs: number): number {
  const byClass = role === 'self' || role === 'stranger' ? shares[role] : shares.member
  const own = Object.hasOwn(shares.peers, id) ? (shares.peers[id] ?? byClass) : byClass
  return role === 'self' ? own : own * reciprocity(doneMs)
}

function reciprocity(doneMs: number): number {
  return 1 + ((LIMITS.RECIPROCITY_MAX - 1) * doneMs) / (doneMs + LIMITS.RECIPROCITY_HALF_MS)
}
