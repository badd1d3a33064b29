/** The peers a job could run on, as expressions see them. */

import type { Ad } from '../../protocol/ad.ts'
import type { Mesh, Role } from '../mesh/mesh.ts'
import type { PeerRuleStore } from '../store/peer-rules.ts'
import type { Candidate } from './matching/expression.ts'

type Components = { mesh: Mesh; rules: PeerRuleStore; ownAd(): Ad }

/** This machine and every peer admitted now. */
export function knownPeers({ mesh, rules, ownAd }: Components): Candidate[] {
  const others = mesh.peers().map(({ id, role, ad }): Candidate => {
    const rule = rules.of(id, ad)
    const blocked = rule?.verdict === 'blocked' ? { blockedMs: rule.forMs } : {}
    return { id, role, trust: trustIn(role, rule), ad, ...blocked }
  })
  return [{ id: mesh.peerId, role: 'self', trust: 'self', ad: ownAd() }, ...others]
}

/** How far a peer of this role is believed before it has shown anything, unless the user says that it is. */
export function trustIn(role: Role | 'self', rule: { verdict: string } | null): Candidate['trust'] {
  if (role === 'self') return 'self'
  return role === 'stranger' && rule?.verdict !== 'trusted' ? 'stranger' : 'member'
}
