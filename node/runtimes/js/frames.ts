/**
 * What the node and a sandbox process say to each other: u32 big-endian length, then JSON.
 *
 * node -> process: one `InitFrame`, then a `RunFrame` at a time. process -> node: one `ReadyFrame`, then for each
 * `RunFrame` its calls' ends in order, in as many `EndsFrame`s as it takes.
 */

import { z } from 'zod'
import { LIMITS } from '../../../protocol/limits.ts'

/** `token` comes back in every frame of the process: task code does not know it, so it cannot forge one. */
export type InitFrame = { token: string; source: string; seed: number }

export type RunCall = { unit: number; params: string }
export type AgreeCall = { a: string; b: string }
export type Call = RunCall | AgreeCall
export type RunFrame = { id: number; calls: readonly Call[] }

export const readySchema = z.strictObject({ token: z.string(), deno: z.string().max(40) })

/** The end of one call: `[null, value as canonical JSON, log]` or `[code, message, log]`. */
const endSchema = z.tuple([
  z.string().max(40).nullable(),
  z.string().max(LIMITS.UNIT_RESULT_MAX_BYTES),
  z.string().max(LIMITS.UNIT_LOG_MAX_CHARS),
])
export type End = z.infer<typeof endSchema>

export const endsSchema = z.strictObject({
  token: z.string(),
  id: z.int().min(0),
  ends: z.array(endSchema).min(1).max(LIMITS.FRAME_UNITS_MAX),
})

/** Bytes a process appends to its stderr: see `progress.ts`. No message of V8 or Deno holds them. */
export const MARKS = { ended: 1, waiting: 2 } as const
