/** This node's place in its mesh: its certificates, what it may issue, who is revoked, and the judgement of others. */

import { digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  type Certificate,
  type CertifiedRole,
  type Chain,
  checkExpiry,
  issueCertificate,
  issueRevocation,
  type MeshFacts,
  type Revocation,
  RevocationSet,
  readCertificate,
  type SignedRevocation,
  verifyChain,
  verifyRevocation,
} from '../../protocol/membership/index.ts'
import type { Role } from '../../protocol/membership/roles.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { roleOf } from './identity.ts'
import type { MeshStore } from './store.ts'

/**
 * What the handshake found a peer to be. The links stay at hand to be judged again when a revocation arrives, the chain
 * to show others what they were read from.
 */
export type Standing = { role: Role; links: readonly Certificate[]; chain: Chain }

export class Membership {
  facts: MeshFacts
  readonly #store: MeshStore
  readonly #signer: Signer
  readonly #revocations = new RevocationSet()

  private constructor(store: MeshStore, signer: Signer, facts: MeshFacts) {
    this.#store = store
    this.#signer = signer
    this.facts = facts
  }

  static async load(store: MeshStore, signer: Signer, facts: MeshFacts): Promise<Membership> {
    const membership = new Membership(store, signer, facts)
    for (const signed of store.revocations()) {
      membership.#revocations.add(await verifyRevocation(facts.id, signed), signed)
    }
    return membership
  }

  get role(): Role {
    return roleOf(this.facts)
  }

  /** @throws E_NOT_MEMBER, E_MESH_MISMATCH, E_CERT_INVALID, E_CERT_EXPIRED, E_CERT_REVOKED */
  async judge(peer: string, chain: Chain): Promise<Standing> {
    if (chain.length === 0) {
      if (this.facts.kind === 'open') return { role: 'stranger', links: [], chain }
      throw new TalkootError('E_NOT_MEMBER', 'the peer showed no certificate of this private mesh')
    }
    const links = await verifyChain({ mesh: this.facts.id, peer, chain })
    this.recheck(links)
    return { role: links[0].role, links, chain }
  }

  /** Judges verified links again, now. @throws E_CERT_EXPIRED, E_CERT_REVOKED */
  recheck(links: readonly Certificate[]): void {
    this.#revocations.check(links)
    checkExpiry(links, Date.now())
  }

  /** A chain for a peer this node admits. @throws E_NOT_ADMIN, E_CERT_INVALID when the chain would be too long */
  async admit(peer: string, role: CertifiedRole, token: string): Promise<Chain> {
    this.requireAdmin()
    if (this.facts.chain.length >= LIMITS.CERT_CHAIN_MAX) {
      throw new TalkootError(
        'E_CERT_INVALID',
        `this admin is ${LIMITS.CERT_CHAIN_MAX} links from the mesh key: a nearer one must issue`,
      )
    }
    const notAfter = Date.now() + LIMITS.CERT_TTL_MS
    const own = await issueCertificate(this.#signer, { mesh: this.facts.id, peer, role, token, notAfter })
    return [own, ...this.facts.chain]
  }

  /** @throws E_NOT_ADMIN */
  async revoke(target: Revocation['target']): Promise<SignedRevocation> {
    this.requireAdmin()
    const content = { mesh: this.facts.id, target }
    const signed = await issueRevocation(this.#signer, this.facts.chain, content)
    await this.learn(signed)
    return signed
  }

  /** Takes a revocation from anywhere; false when it was known. @throws what makes it invalid */
  async learn(signed: SignedRevocation): Promise<boolean> {
    if (this.#revocations.has(signed)) return false
    const revocation = await verifyRevocation(this.facts.id, signed)
    if (!this.#revocations.add(revocation, signed)) return false
    this.#store.addRevocation(digestOf(signed.bytes), signed)
    return true
  }

  revocations(): SignedRevocation[] {
    return this.#revocations.list()
  }

  revocationsDigest(): string {
    return this.#revocations.digest()
  }

  /** Half of its certificate's life is over, by this node's own clock: time to ask for the next. */
  renewalDue(): boolean {
    const [leaf] = this.facts.chain
    return leaf !== undefined && readCertificate(leaf).notAfter - Date.now() < LIMITS.CERT_TTL_MS / 2
  }

  /** An admin asks only those above it, or it would sink below them; others ask any admin. */
  mayRenewFrom(admin: string): boolean {
    return this.role !== 'admin' || this.facts.chain.some((link) => readCertificate(link).issuer === admin)
  }

  /** Whether a chain offered as a renewal is good, of the same role, and ends later. @throws what makes it invalid */
  async isBetter(chain: Chain): Promise<boolean> {
    const [leaf] = this.facts.chain
    if (leaf === undefined) return false
    const held = readCertificate(leaf)
    const { role, links } = await this.judge(held.peer, chain)
    return role === held.role && links.every(({ notAfter }) => notAfter > held.notAfter)
  }

  requireAdmin(): void {
    if (this.role !== 'admin') throw new TalkootError('E_NOT_ADMIN', `this node is ${this.role}, not admin`)
  }
}
