/** Why a job was stopped: what was found in its results. */

import { z } from 'zod'

export const findingSchema = z.object({
  reason: z.enum(['not-repeatable', 'platform-differs']),
  /** One unit on which peers differ. */
  unit: z.int().min(0),
  /** The first part of their values that does, as `result.energy[3]`, and what two of them say there; null: not known. */
  difference: z.object({ path: z.string(), a: z.string(), b: z.string() }).nullable(),
  platforms: z.tuple([z.string(), z.string()]).nullable(),
})
export type Finding = z.infer<typeof findingSchema>
