/** What `plan` asks and answers: who could run a job, what keeps others out, how long it may take. Nothing is run. */

import { z } from 'zod'
import { count, ms } from './amounts.ts'
import { clauseSchema } from './api.ts'
import { LIMITS } from './limits.ts'
import { digestSchema, policySchema } from './manifest.ts'
import { reasonSchema } from './reasons.ts'
import { runtimeKindSchema } from './runtime-kinds.ts'
import { sweepSchema } from './sweep/schema.ts'

export const planRequestSchema = z.strictObject({
  /** Digest of the task, by which the times of earlier jobs are found; it need not be stored. */
  task: digestSchema.nullable().default(null),
  runtime: runtimeKindSchema.default('js'),
  sweep: sweepSchema,
  policy: policySchema.prefault({}),
  /** What one unit takes on one slot of a machine of speed 1, milliseconds. */
  unitMs: z.number().positive().max(LIMITS.UNIT_TIMEOUT_MAX_MS).nullable().default(null),
})
export type PlanRequest = z.input<typeof planRequestSchema>

/** A change of clauses that would let more peers in. */
const relaxationSchema = z.object({
  /** `to`: the clause with its bound moved; null: without it. */
  changes: z.array(z.object({ clause: z.string(), to: z.string().nullable() })),
  /** Peers that would qualify beside those that do. */
  gains: count,
})
export type Relaxation = z.infer<typeof relaxationSchema>

export const planSchema = z.object({
  schema: z.literal('talkoot.plan/1'),
  units: count,
  /** `slots`: units at once, of those that match and are not paused. */
  peers: z.object({ known: count, matching: count, paused: count, slots: count, freeSlots: count }),
  clauses: z.array(clauseSchema),
  /** The smallest changes first, and of those the ones that gain most. */
  relaxations: z.array(relaxationSchema).max(LIMITS.RELAXATIONS_MAX),
  /** Why nothing would run now; null: something would. */
  blocked: z
    .object({
      reason: reasonSchema,
      says: z.string(),
      mover: z.enum(['user', 'owner', 'peer', 'platform', 'bug', 'nobody']),
      hint: z.string(),
    })
    .nullable(),
  /** Attempts of units: as verification and what was seen of these peers make likely, and at most. */
  executions: z.object({ likely: count, most: count }),
  /**
   * With a confidence to reach: copies of a unit at first, and how many executions the sweep would take if, the rest being
   * equal, something else were true. Null without one.
   */
  confidence: z
    .object({
      goal: z.number(),
      collusion: z.number(),
      copies: count,
      costs: z.array(z.object({ assumption: z.string(), executions: count })),
      /** What the goal does not hold for. */
      limits: z.array(z.string()),
    })
    .nullable(),
  /** What one unit takes on one slot of speed 1, and how that is known; null: it is not. */
  unitTime: z.object({ ms, from: z.enum(['given', 'history']), job: digestSchema.nullable(), units: count }).nullable(),
  /** From the start to the end; null: the time of a unit is not known, or nothing would run. */
  finish: z.object({ lowMs: ms, likelyMs: ms, highMs: ms }).nullable(),
  /** What the figures rest on, one sentence each. */
  assumes: z.array(z.string()),
})
export type Plan = z.infer<typeof planSchema>
