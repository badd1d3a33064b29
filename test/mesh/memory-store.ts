/** A mesh store that lives as long as its process. */

import type { MeshStore } from '../../node/mesh/store.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { MeshFacts, RememberedPeer, SignedRevocation, TokenRecord } from '../../protocol/membership/index.ts'

export function memoryMeshStore(): MeshStore {
  let identity: Uint8Array | undefined
  let mesh: MeshFacts | undefined
  let adSeq = 0
  const tokens = new Map<string, TokenRecord & { users: Set<string> }>()
  const revocations = new Map<string, SignedRevocation>()
  const peers = new Map<string, RememberedPeer>()

  return {
    identity: () => identity,
    keepIdentity: (key) => {
      identity = key
    },
    mesh: () => mesh,
    keepMesh: (facts) => {
      if (mesh !== undefined && mesh.id !== facts.id) for (const kept of [tokens, revocations, peers]) kept.clear()
      mesh = facts
    },
    tokens: () => [...tokens.values()].map(({ users: _, ...record }) => record),
    addToken: (record) => {
      tokens.set(record.id, { ...record, users: new Set() })
    },
    useToken: (id, peer) => {
      const token = tokens.get(id)
      if (token === undefined || token.revoked) return false
      if (token.users.has(peer)) return true
      if (token.usesLeft === 0) return false
      token.usesLeft -= 1
      token.users.add(peer)
      return true
    },
    revokeToken: (id) => {
      const token = tokens.get(id)
      if (token === undefined) return false
      token.revoked = true
      return true
    },
    forgetToken: (id) => {
      tokens.delete(id)
    },
    revocations: () => [...revocations.values()],
    addRevocation: (id, revocation) => {
      revocations.set(id, revocation)
    },
    peers: () => [...peers.values()].reverse(),
    rememberPeer: (peer) => {
      peers.delete(peer.id)
      peers.set(peer.id, peer)
      const [oldest] = peers.keys()
      if (peers.size > LIMITS.PEERS_REMEMBERED_MAX && oldest !== undefined) peers.delete(oldest)
    },
    forgetPeer: (id) => {
      peers.delete(id)
    },
    adSeq: () => adSeq,
    keepAdSeq: (seq) => {
      adSeq = seq
    },
  }
}
