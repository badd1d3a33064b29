/** What the mesh keeps between runs, and the store in memory that tests use. */

import type { MeshFacts, RememberedPeer, SignedRevocation, TokenRecord } from '../../protocol/membership/index.ts'

/** Every function is synchronous and durable when it returns. */
export interface MeshStore {
  /** The node's Ed25519 private key (libp2p protobuf). */
  identity(): Uint8Array | undefined
  keepIdentity(key: Uint8Array): void

  mesh(): MeshFacts | undefined
  /** Replaces the facts; when the id differs, forgets the tokens, revocations and peers of the former mesh in one step. */
  keepMesh(facts: MeshFacts): void

  tokens(): TokenRecord[]
  addToken(record: TokenRecord): void
  /**
   * One step: true when `peer` has used this token before (a lost answer asked for again), or a use is left, which is
   * then taken. False for a token revoked, unknown or used up.
   */
  useToken(id: string, peer: string): boolean
  /** False when there is no such token. */
  revokeToken(id: string): boolean
  forgetToken(id: string): void

  revocations(): SignedRevocation[]
  /** Idempotent; `id` is the digest of its bytes. */
  addRevocation(id: string, revocation: SignedRevocation): void

  /** Most recently remembered first, at most `PEERS_REMEMBERED_MAX`; remembering one more forgets the oldest. */
  peers(): RememberedPeer[]
  rememberPeer(peer: RememberedPeer): void
  forgetPeer(id: string): void

  /** The last number an ad of this node had; 0 at first. */
  adSeq(): number
  keepAdSeq(seq: number): void
}
