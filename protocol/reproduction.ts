/** A unit run again on the submitter's own machine: `talkoot job reproduce`. */

import { z } from 'zod'
import { resultRowSchema } from './api.ts'
import { digestSchema } from './manifest.ts'
import { unitProcessSchema } from './report.ts'
import { attemptSchema } from './work.ts'

export const reproductionSchema = z.object({
  schema: z.literal('talkoot.reproduction/1'),
  job: digestSchema,
  unit: z.int().min(0),
  params: z.record(z.string(), z.json()),
  /** What came out here. */
  attempt: attemptSchema,
  /** How its process ended; null where units have none of their own, or it never began. */
  exit: z.object({ code: z.int().nullable(), signal: z.string().nullable() }).nullable(),
  stdout: z.string(),
  /** The last of its standard error, or of what it logged. */
  stderr: z.string(),
  /** What it ran on here, as in the logs of attempts. */
  system: z.string(),
  process: unitProcessSchema.nullable(),
  /** From the first process it needed to its end, milliseconds. */
  durationMs: z.number().min(0),
  /** What the mesh decided; null: it has not. */
  decided: resultRowSchema.nullable(),
  /** Whether this is the value, or the failure by its code, that was decided; null: nothing was. */
  same: z.boolean().nullable(),
})
export type Reproduction = z.infer<typeof reproductionSchema>
