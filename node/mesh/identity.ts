/** The node's own key, and the founding of a mesh. */

import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { LIMITS } from '../../protocol/limits.ts'
import { issueCertificate, type MeshFacts, type MeshKind, readCertificate } from '../../protocol/membership/index.ts'
import type { Role } from '../../protocol/membership/roles.ts'
import { type Signer, signerOf } from '../../protocol/signatures.ts'
import type { MeshStore } from './store.ts'

export async function loadIdentity(store: MeshStore): Promise<PrivateKey> {
  const kept = store.identity()
  if (kept !== undefined) return privateKeyFromProtobuf(kept)
  const key = await generateKeyPair('Ed25519')
  store.keepIdentity(privateKeyToProtobuf(key))
  return key
}

/** The mesh this node is of; when there is none it founds its own, and is its first admin. */
export async function loadMesh(
  store: MeshStore,
  signer: Signer,
  founding: { kind: MeshKind; name: string },
): Promise<MeshFacts> {
  const kept = store.mesh()
  if (kept !== undefined) return await renewFounder(store, signer, kept)
  const key = await generateKeyPair('Ed25519')
  const id = signerOf(key).peer
  const facts: MeshFacts = { ...founding, id, key: privateKeyToProtobuf(key), chain: [] }
  return await certifyFounder(store, signer, facts)
}

/** Half-way through its certificate's life the holder of the mesh key gives itself another. */
export async function renewFounder(store: MeshStore, signer: Signer, facts: MeshFacts): Promise<MeshFacts> {
  const [leaf] = facts.chain
  if (facts.key === null || leaf === undefined) return facts
  const { notAfter } = readCertificate(leaf)
  return notAfter - Date.now() > LIMITS.CERT_TTL_MS / 2 ? facts : await certifyFounder(store, signer, facts)
}

async function certifyFounder(store: MeshStore, signer: Signer, facts: MeshFacts): Promise<MeshFacts> {
  if (facts.key === null) return facts
  const certificate = await issueCertificate(signerOf(privateKeyFromProtobuf(facts.key)), {
    mesh: facts.id,
    peer: signer.peer,
    role: 'admin',
    token: null,
    notAfter: Date.now() + LIMITS.CERT_TTL_MS,
  })
  const founded = { ...facts, chain: [certificate] }
  store.keepMesh(founded)
  return founded
}

export function roleOf({ chain }: Pick<MeshFacts, 'chain'>): Role {
  const [leaf] = chain
  return leaf === undefined ? 'stranger' : readCertificate(leaf).role
}
