/** What a running unit writes, while it does: `/talkoot/logs/1`, one unit a channel, asked for by the submitter of its job. */

import { z } from 'zod'
import { bytesSchema } from './bytes.ts'
import { LIMITS } from './limits.ts'
import { digestSchema } from './manifest.ts'

export const LOGS_PROTOCOL = '/talkoot/logs/1'

const streamSchema = z.enum(['stdout', 'stderr'])
export type OutputStream = z.infer<typeof streamSchema>

export const tailRequestSchema = z.strictObject({
  job: digestSchema,
  unit: z.int().min(0).max(LIMITS.SWEEP_UNITS_MAX),
})

export const tailAnswerSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('out'), stream: streamSchema, bytes: bytesSchema(LIMITS.LOG_RING_BYTES) }),
  /** The unit has ended. */
  z.strictObject({ t: z.literal('end') }),
  /** It does not run here. */
  z.strictObject({ t: z.literal('absent') }),
])
export type TailAnswer = z.infer<typeof tailAnswerSchema>

/** A piece of it, as the local API tells it: whole characters, and none that control a terminal. */
export const unitOutputSchema = z.object({ peer: z.string(), stream: streamSchema, text: z.string() })
export type UnitOutput = z.infer<typeof unitOutputSchema>
