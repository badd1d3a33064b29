/** The peers a job could run on, as expressions see them. */

import type { Ad } from '../../protocol/ad.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Candidate } from './matching/expression.ts'

/** This machine and every peer admitted now. */
export function knownPeers({ mesh, ownAd }: { mesh: Mesh; ownAd(): Ad }): Candidate[] {
  const others = mesh
    .peers()
    .map(({ id, role, ad }): Candidate => ({ id, role, trust: role === 'stranger' ? role : 'member', ad }))
  return [{ id: mesh.peerId, role: 'self', trust: 'self', ad: ownAd() }, ...others]
}
