/** What the local API says of join tokens. */

import { z } from 'zod'
import { count, ms } from './amounts.ts'
import { LIMITS } from './limits.ts'
import { certifiedRoleSchema } from './membership/roles.ts'

export const tokenRequestSchema = z.strictObject({
  uses: z.int().min(1).max(LIMITS.TOKEN_USES_MAX).default(1),
  ttlMs: z
    .int()
    .min(1_000)
    .max(LIMITS.TOKEN_TTL_MAX_MS)
    .default(24 * 3_600_000),
  role: certifiedRoleSchema.default('member'),
})
export type TokenRequest = z.input<typeof tokenRequestSchema>

export const tokenCreatedSchema = z.object({
  schema: z.literal('talkoot.token/1'),
  id: z.string(),
  /** The secret itself: shown once. */
  token: z.string(),
  role: certifiedRoleSchema,
  uses: count,
  expiresInMs: ms,
})
export type TokenCreated = z.infer<typeof tokenCreatedSchema>

export const tokensSchema = z.object({
  schema: z.literal('talkoot.tokens/1'),
  tokens: z.array(
    z.object({
      id: z.string(),
      role: certifiedRoleSchema,
      uses: count,
      usesLeft: count,
      expiresInMs: ms,
      state: z.enum(['live', 'used', 'expired', 'revoked']),
      /** Peer ids it admitted. */
      members: z.array(z.string()),
    }),
  ),
})
export type Tokens = z.infer<typeof tokensSchema>

export const revokedSchema = z.object({
  schema: z.literal('talkoot.revoked/1'),
  id: z.string(),
  /** Peer ids removed from the mesh with it. */
  members: z.array(z.string()),
})
export type Revoked = z.infer<typeof revokedSchema>
