/**
 * Certificates: an admin's signed word that a peer belongs to a mesh, and the chain of such words up to the mesh key.
 *
 * Clocks: rule "no wall clock is compared across machines" has one exception, `notAfter`. It is written by the issuer's
 * clock and read by every other peer's, so it is judged with a day of grace in the holder's favour (`CERT_SKEW_MS`), it lies
 * a year ahead, and members renew by age long before (their own clock only counts how old their copy is). Expiry is the slow
 * way out for machines nobody remembers; the quick way is a revocation, which knows no clock.
 */

import { base32 } from 'multiformats/bases/base32'
import { z } from 'zod'
import { bytesSchema } from '../bytes.ts'
import { canonicalBytes, decodeCanonical } from '../canonical.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { isSignedBy, type Signer } from '../signatures.ts'
import { certifiedRoleSchema } from './roles.ts'

/** Text of an Ed25519 public key: a peer id, or the id of a mesh, which is its key. */
export const keyTextSchema = z.string().min(40).max(100)

/** What an admin vouches for. `issuer` is a peer, or the mesh itself for the founder. */
const certificateSchema = z.strictObject({
  v: z.literal(1),
  mesh: keyTextSchema,
  peer: keyTextSchema,
  role: certifiedRoleSchema,
  serial: z.string().max(32),
  /** The token it was given for; null for the founder. */
  token: z.string().max(32).nullable(),
  issuer: keyTextSchema,
  /** Milliseconds since 1970 by the issuer's clock. */
  notAfter: z.int().min(0),
})
export type Certificate = z.infer<typeof certificateSchema>

const signedCertificateSchema = z.strictObject({
  bytes: bytesSchema(LIMITS.CERT_MAX_BYTES),
  signature: bytesSchema(128),
})
type SignedCertificate = z.infer<typeof signedCertificateSchema>

/** From the peer's own certificate up to the one the mesh key signed. Empty for a stranger in an open mesh. */
export const chainSchema = z.array(signedCertificateSchema).max(LIMITS.CERT_CHAIN_MAX)
export type Chain = z.infer<typeof chainSchema>

type CertificateRequest = Pick<Certificate, 'mesh' | 'peer' | 'role' | 'token' | 'notAfter'>

export async function issueCertificate(issuer: Signer, request: CertificateRequest): Promise<SignedCertificate> {
  const serial = base32.baseEncode(crypto.getRandomValues(new Uint8Array(16)))
  const bytes = canonicalBytes({ v: 1, ...request, serial, issuer: issuer.peer } satisfies Certificate)
  return { bytes, signature: await issuer.sign('certificate', bytes) }
}

/** The content of one certificate, its signature not yet checked. @throws E_CERT_INVALID */
export function readCertificate(signed: SignedCertificate): Certificate {
  try {
    return certificateSchema.parse(decodeCanonical(signed.bytes))
  } catch (cause) {
    throw new TalkootError('E_CERT_INVALID', 'the certificate does not follow its schema', { cause })
  }
}

type ChainClaim = { mesh: string; peer: string; chain: Chain }

/**
 * The links of a chain whose shape and signatures hold, leaf first; expiry and revocation are not looked at.
 * @throws E_MESH_MISMATCH, E_CERT_INVALID
 */
export async function verifyChain({ mesh, peer, chain }: ChainClaim): Promise<[Certificate, ...Certificate[]]> {
  const [leaf, ...uppers] = chain.map(readCertificate)
  if (leaf === undefined || chain.length > LIMITS.CERT_CHAIN_MAX)
    throw invalid(`a chain of ${chain.length} certificates`)
  const links: [Certificate, ...Certificate[]] = [leaf, ...uppers]
  if (links.some((link) => link.mesh !== mesh)) {
    throw new TalkootError('E_MESH_MISMATCH', 'the certificate is of another mesh')
  }
  if (leaf.peer !== peer) throw invalid('the certificate is of another peer')
  for (const [at, link] of links.entries()) {
    const above = links[at + 1]
    if (above === undefined ? link.issuer !== mesh : link.issuer !== above.peer || above.role !== 'admin') {
      throw invalid(`link ${at} of the chain was not issued by an admin above it`)
    }
    const signed = chain[at]
    if (signed === undefined || !(await isSignedBy(link.issuer, 'certificate', signed.bytes, signed.signature))) {
      throw invalid(`the signature of link ${at} of the chain is wrong`)
    }
  }
  return links
}

/** @throws E_CERT_EXPIRED when any link is past its time and the grace for clocks that disagree */
export function checkExpiry(links: readonly Certificate[], now: number): void {
  const late = links.find((link) => now > link.notAfter + LIMITS.CERT_SKEW_MS)
  if (late !== undefined) throw new TalkootError('E_CERT_EXPIRED', `the certificate of ${late.peer} has expired`)
}

const invalid = (message: string) => new TalkootError('E_CERT_INVALID', message)
