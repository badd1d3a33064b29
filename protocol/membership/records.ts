/** What a node keeps of its membership between runs; the mesh says it, the ledger stores it. */

import type { Chain } from './certificate.ts'
import type { CertifiedRole } from './roles.ts'
import type { MeshKind } from './token.ts'

export type MeshFacts = {
  /** The mesh's public key in the text form of peer ids. */
  id: string
  kind: MeshKind
  name: string
  /** This node's certificates up to the mesh key; empty for a stranger in an open mesh. */
  chain: Chain
  /** The mesh's private key (libp2p protobuf), held by the founder only. */
  key: Uint8Array | null
}

/** A token this node issued. Only a hash of the secret is kept. */
export type TokenRecord = {
  id: string
  /** SHA-256 of the secret. */
  secretHash: Uint8Array
  role: CertifiedRole
  usesMax: number
  usesLeft: number
  /** Milliseconds since 1970 by this node's clock, the only one that judges it. */
  createdAt: number
  expiresAt: number
  revoked: boolean
}

export type RememberedPeer = { id: string; addresses: string[] }
