/** An ad: a peer's signed, numbered, expiring statement of what it offers. Bounded and checked before use. */

import { z } from 'zod'
import { bytesSchema } from './bytes.ts'
import { LIMITS } from './limits.ts'
import { nameSchema } from './text.ts'

export const adSchema = z.strictObject({
  v: z.literal(1),
  peer: z.string().max(100),
  mesh: z.string().max(100),
  /** Grows with every statement of one peer; a lower number than one already seen is refused. */
  seq: z.int().min(0),
  /** How long the statement stands after it arrives, milliseconds: a duration, so no clocks are compared. */
  ttlMs: z.int().min(1_000).max(LIMITS.AD_TTL_MS),
  name: nameSchema,
  version: nameSchema,
  os: nameSchema,
  arch: nameSchema,
  /** Cores the owner offers; the units run at once. */
  cpus: z.int().min(0).max(4_096),
  /** Memory the owner offers, bytes. */
  memory: z.int().min(0),
  /** Disk the owner offers, bytes. */
  disk: z.int().min(0),
  /** Measured speed of one slot, in units of a reference machine (about 1). */
  speed: z.number().positive().max(10_000),
  freeSlots: z.int().min(0).max(4_096),
  runtimes: z
    .array(z.strictObject({ kind: nameSchema, version: nameSchema, confinement: z.enum(['os', 'runtime']) }))
    .max(16),
  /** Set by the owner: `gpu=none`, `room=b12`. */
  labels: z.record(nameSchema, nameSchema).refine((labels) => Object.keys(labels).length <= LIMITS.AD_LABELS_MAX),
  /** `dialable`: others can open connections to it; `outbound`: it can only dial out. */
  reach: z.enum(['dialable', 'outbound']),
  /** Whether work of strangers is run at all. */
  strangers: z.boolean(),
  addresses: z.array(z.string().max(200)).max(LIMITS.TOKEN_ADDRESSES_MAX),
  /** The owner has paused the machine: for how long by now, and when it is back, milliseconds; null: not known. */
  paused: z
    .strictObject({ forMs: z.int().min(0), returnsInMs: z.int().min(0).max(LIMITS.PAUSE_MAX_MS).nullable() })
    .nullable()
    .default(null),
})
export type Ad = z.infer<typeof adSchema>

/** An ad as it travels: canonical bytes and the peer's signature over them. */
export const signedAdSchema = z.strictObject({
  bytes: bytesSchema(LIMITS.AD_MAX_BYTES),
  signature: bytesSchema(LIMITS.SIGNATURE_MAX_BYTES),
})
export type SignedAd = z.infer<typeof signedAdSchema>
