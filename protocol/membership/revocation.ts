/**
 * Revocations: a set that only grows, the same at every peer once they have met.
 *
 * Any admin may revoke members and workers; an admin is revoked only by those above it in its own chain (the founder, or
 * whoever admitted it), so two admins can never revoke each other and the order of arrival never matters. A revocation
 * outlives the certificate of the admin who signed it. Whoever loses a link of its chain is cut off with it.
 */

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { bytesSchema } from '../bytes.ts'
import { canonicalBytes, type Digest, decodeCanonical, digestOf } from '../canonical.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { isSignedBy, type Signer } from '../signatures.ts'
import { type Certificate, type Chain, chainSchema, keyTextSchema, verifyChain } from './certificate.ts'

const revocationSchema = z.strictObject({
  v: z.literal(1),
  mesh: keyTextSchema,
  issuer: keyTextSchema,
  /** A peer for good (its key never comes back), or all who joined with one token. */
  target: z.union([z.strictObject({ peer: keyTextSchema }), z.strictObject({ token: z.string().max(32) })]),
})
export type Revocation = z.infer<typeof revocationSchema>

/** As it travels and is kept: with the chain that shows its issuer to be an admin. */
export const signedRevocationSchema = z.strictObject({
  bytes: bytesSchema(LIMITS.CERT_MAX_BYTES),
  signature: bytesSchema(128),
  chain: chainSchema,
})
export type SignedRevocation = z.infer<typeof signedRevocationSchema>

export async function issueRevocation(
  issuer: Signer,
  chain: Chain,
  content: Pick<Revocation, 'mesh' | 'target'>,
): Promise<SignedRevocation> {
  const bytes = canonicalBytes({ v: 1, ...content, issuer: issuer.peer } satisfies Revocation)
  return { bytes, signature: await issuer.sign('revocation', bytes), chain }
}

/** @throws E_MESH_MISMATCH, E_CERT_INVALID, E_NOT_ADMIN */
export async function verifyRevocation(mesh: string, signed: SignedRevocation): Promise<Revocation> {
  const revocation = readRevocation(signed)
  if (revocation.mesh !== mesh) throw new TalkootError('E_MESH_MISMATCH', 'the revocation is of another mesh')
  const [leaf] = await verifyChain({ mesh, peer: revocation.issuer, chain: signed.chain })
  if (leaf.role !== 'admin') throw new TalkootError('E_NOT_ADMIN', 'the revocation is not signed by an admin')
  if (!(await isSignedBy(revocation.issuer, 'revocation', signed.bytes, signed.signature))) {
    throw new TalkootError('E_CERT_INVALID', 'the signature of the revocation is wrong')
  }
  return revocation
}

function readRevocation(signed: SignedRevocation): Revocation {
  try {
    return revocationSchema.parse(decodeCanonical(signed.bytes))
  } catch (cause) {
    throw new TalkootError('E_CERT_INVALID', 'the revocation does not follow its schema', { cause })
  }
}

/** The set itself. Holds verified revocations only; `add` is idempotent and order does not matter. */
export class RevocationSet {
  readonly #entries = new Map<Digest, SignedRevocation>()
  readonly #issuersByTarget = new Map<string, Set<string>>()

  /** False when it is known already. @throws E_FLOOD at `REVOCATIONS_MAX` */
  add(revocation: Revocation, signed: SignedRevocation): boolean {
    const id = digestOf(signed.bytes)
    if (this.#entries.has(id)) return false
    if (this.#entries.size >= LIMITS.REVOCATIONS_MAX) {
      throw new TalkootError('E_FLOOD', `the mesh holds ${LIMITS.REVOCATIONS_MAX} revocations already`)
    }
    this.#entries.set(id, signed)
    const key = targetKey(revocation.target)
    const issuers = this.#issuersByTarget.get(key) ?? new Set()
    this.#issuersByTarget.set(key, issuers.add(revocation.issuer))
    return true
  }

  has(signed: SignedRevocation): boolean {
    return this.#entries.has(digestOf(signed.bytes))
  }

  list(): SignedRevocation[] {
    return [...this.#entries.values()]
  }

  /** One digest of the whole set: peers whose digests differ exchange their sets. */
  digest(): Digest {
    const hash = createHash('sha256')
    for (const id of [...this.#entries.keys()].sort()) hash.update(id)
    return digestOf(hash.digest())
  }

  /** @throws E_CERT_REVOKED when any link of a verified chain is revoked by one who may */
  check(links: readonly Certificate[]): void {
    for (const [at, link] of links.entries()) {
      const above = new Set(links.slice(at).map((upper) => upper.issuer))
      const issuers = [
        ...(this.#issuersByTarget.get(targetKey({ peer: link.peer })) ?? []),
        ...(link.token === null ? [] : (this.#issuersByTarget.get(targetKey({ token: link.token })) ?? [])),
      ]
      if (issuers.some((issuer) => link.role !== 'admin' || above.has(issuer))) {
        throw new TalkootError('E_CERT_REVOKED', `an admin has removed ${link.peer} from the mesh`)
      }
    }
  }
}

const targetKey = (target: Revocation['target']) => ('peer' in target ? `peer ${target.peer}` : `token ${target.token}`)
