/** The schemas of what a sandbox process says. Apart from `frames.ts`, which the harness shares and starts faster for. */

import { z } from 'zod'
import { textSchema } from '../../../protocol/bytes.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { End } from './frames.ts'

export const readySchema = z.strictObject({ token: z.string(), deno: z.string().max(40) })

const endSchema: z.ZodType<End> = z.tuple([
  z.string().max(40).nullable(),
  textSchema(LIMITS.UNIT_RESULT_MAX_BYTES),
  z.string().max(LIMITS.UNIT_LOG_MAX_CHARS),
])
const endsSchema = z.strictObject({
  token: z.string(),
  id: z.int().min(0),
  ends: z.array(endSchema).min(1).max(LIMITS.FRAME_UNITS_MAX),
})
const checkpointSchema = z.strictObject({
  token: z.string(),
  id: z.int().min(0),
  unit: z.int().min(0),
  state: textSchema(LIMITS.UNIT_CHECKPOINT_MAX_BYTES),
})
const partSchema = z.strictObject({ token: z.string(), id: z.int().min(0), part: z.base64() })
export const replySchema = z.union([endsSchema, checkpointSchema, partSchema])
