/** The peers a job could run on, as expressions see them. */

import type { Ad } from '../../protocol/ad.ts'
import type { Role } from '../../protocol/membership/roles.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { PeerRuleStore } from '../store/peer-rules.ts'
import type { Candidate } from './matching/expression.ts'

type Components = { mesh: Mesh; rules: PeerRuleStore; ownAd(): Ad }

/** This machine, every peer admitted now, and those being dialled of whom members told. */
export function knownPeers({ mesh, rules, ownAd }: Components): Candidate[] {
  const others = [...mesh.peers(), ...mesh.heardOf()].map(({ id, role, ad }): Candidate => {
    const rule = rules.of(id, ad)
    const blocked = rule?.verdict === 'blocked' ? { blockedMs: rule.forMs } : {}
    return { id, role, trust: trustIn(role, rule), ad, ...blocked }
  })
  return [{ id: mesh.peerId, role: 'self', trust: 'self', ad: ownAd() }, ...others]
}

/** What their owners call them, by id. */
export const namesOf = (peers: readonly Candidate[]): Map<string, string> =>
  new Map(peers.map(({ id, ad }) => [id, ad.name]))

/** How far a peer of this role is believed before it has shown anything, unless the user says that it is. */
export function trustIn(role: Role | 'self', rule: { verdict: string } | null): Candidate['trust'] {
  if (role === 'self') return 'self'
  return role === 'stranger' && rule?.verdict !== 'trusted' ? 'stranger' : 'member'
}
