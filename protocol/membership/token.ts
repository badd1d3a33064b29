/**
 * Join tokens: one line of text that admits a machine.
 *
 * `talkoot1:` and base58 of canonical bytes with a 4-byte checksum, so a token cut short says so instead of being "wrong".
 * It states no expiry: its issuer alone redeems it and judges its age by its own clock; a time in the text could only be
 * read by a clock that disagrees.
 */

import { createHash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { z } from 'zod'
import { bytesSchema } from '../bytes.ts'
import { canonicalBytes, decodeCanonical } from '../canonical.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import { keyTextSchema } from './certificate.ts'
import { certifiedRoleSchema } from './roles.ts'

const PREFIX = 'talkoot1:'
const CHECKSUM_BYTES = 4

const meshKindSchema = z.enum(['private', 'open'])
export type MeshKind = z.infer<typeof meshKindSchema>

const tokenSchema = z.strictObject({
  v: z.literal(1),
  mesh: keyTextSchema,
  kind: meshKindSchema,
  name: z.string().max(64),
  issuer: keyTextSchema,
  /** What the issuer redeems for a certificate. Null invites strangers to an open mesh: there is nothing to redeem. */
  grant: z
    .strictObject({
      id: z.string().max(32),
      secret: bytesSchema(16),
      role: certifiedRoleSchema,
    })
    .nullable(),
  addresses: z.array(z.string().max(200)).min(1).max(LIMITS.TOKEN_ADDRESSES_MAX),
})
export type Token = z.infer<typeof tokenSchema>

export function encodeToken(token: Token): string {
  const bytes = canonicalBytes(token)
  return PREFIX + base58btc.baseEncode(concat([bytes, checksum(bytes)]))
}

/** @throws E_TOKEN_MALFORMED */
export function decodeToken(text: string): Token {
  const trimmed = text.trim()
  if (!trimmed.startsWith(PREFIX)) throw malformed('it does not begin with talkoot1:')
  if (trimmed.length > LIMITS.TOKEN_MAX_CHARS) throw malformed('it is too long')
  try {
    const all = base58btc.baseDecode(trimmed.slice(PREFIX.length))
    const bytes = all.subarray(0, -CHECKSUM_BYTES)
    if (!equals(checksum(bytes), all.subarray(-CHECKSUM_BYTES))) throw malformed('its checksum is wrong')
    return tokenSchema.parse(decodeCanonical(bytes))
  } catch (cause) {
    if (cause instanceof TalkootError) throw cause
    throw new TalkootError('E_TOKEN_MALFORMED', 'the token cannot be read', { cause })
  }
}

const checksum = (bytes: Uint8Array) =>
  Uint8Array.from(createHash('sha256').update(bytes).digest().subarray(0, CHECKSUM_BYTES))

const malformed = (why: string) => new TalkootError('E_TOKEN_MALFORMED', `the token cannot be read: ${why}`)
