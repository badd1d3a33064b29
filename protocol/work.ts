/**
 * The work protocol: what a submitter (S) and a worker (W) say to each other on one framed stream.
 * Messages are msgpack maps; each is checked against its schema before use. See docs/protocol.md.
 */

import { z } from 'zod'
import { bytesSchema, textSchema } from './bytes.ts'
import { LIMITS } from './limits.ts'
import { digestSchema } from './manifest.ts'
import { unitReportSchema } from './report.ts'

export const WORK_PROTOCOL = '/talkoot/work/1'

const bytes = bytesSchema(LIMITS.MANIFEST_MAX_BYTES)
const index = z.int().min(0).max(LIMITS.SWEEP_UNITS_MAX)
const code = z.string().max(40)
const message = z.string().max(LIMITS.UNIT_ERROR_MAX_CHARS)

/** Who or what is to blame for a failed attempt; decides what is tried next. */
export const blameSchema = z.enum(['program', 'machine', 'memory', 'time', 'data', 'disagreement'])
export type Blame = z.infer<typeof blameSchema>

/** A unit to run: its index and its parameters as canonical JSON. */
export const unitSchema = z.tuple([index, textSchema(LIMITS.PARAMS_MAX_BYTES)])

/** One attempt's end: a value as canonical JSON, or a coded failure. */
export const attemptSchema = z.discriminatedUnion('ok', [
  z.strictObject({ unit: index, ok: z.literal(true), value: textSchema(LIMITS.UNIT_RESULT_MAX_BYTES) }),
  z.strictObject({ unit: index, ok: z.literal(false), code, message, blame: blameSchema }),
])
export type Attempt = z.infer<typeof attemptSchema>

const state = bytesSchema(LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
const units = z.array(unitSchema).min(1).max(LIMITS.FRAME_UNITS_MAX)
const indices = z.array(index).max(LIMITS.WORKER_QUEUE_UNITS_MAX)

export const toWorkerSchema = z.discriminatedUnion('t', [
  /** Introduces a job; answered by `accept` or `refuse`, after `fetching` if that takes a while. */
  z.strictObject({ t: z.literal('job'), job: digestSchema, manifest: bytes, signature: bytes }),
  z.strictObject({ t: z.literal('run'), job: digestSchema, units }),
  /** What a unit saved of itself where it ran before; comes before it does. */
  z.strictObject({ t: z.literal('resume'), job: digestSchema, unit: index, state }),
  /** Units no longer wanted, or the whole job when `units` is null. */
  z.strictObject({ t: z.literal('revoke'), job: digestSchema, units: indices.nullable() }),
  /** The files of these units are here: the worker need not keep them. */
  z.strictObject({ t: z.literal('taken'), job: digestSchema, units: indices }),
])
export type ToWorker = z.infer<typeof toWorkerSchema>

export const toSubmitterSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('accept'), job: digestSchema }),
  /**
   * The job is admitted, its files are on their way: bytes that are here, of so many. It is given no units until it is accepted; said
   * again with every sign of life.
   */
  z.strictObject({ t: z.literal('fetching'), job: digestSchema, bytes: z.int().min(0), of: z.int().min(0) }),
  z.strictObject({ t: z.literal('refuse'), job: digestSchema, code, message, retryAfterMs: z.int().min(0).nullable() }),
  /** Ends of attempts, with the worker's one signature over all of them. */
  z.strictObject({
    t: z.literal('results'),
    job: digestSchema,
    attempts: z.array(attemptSchema).min(1).max(LIMITS.FRAME_UNITS_MAX),
    /** One of these units and for how long it was here, milliseconds: the rest of its turnaround is the way. */
    held: z.tuple([index, z.number().min(0)]).optional(),
    /** What some of these units left beside their ends; not signed. */
    reports: z.array(unitReportSchema).max(LIMITS.FRAME_UNITS_MAX).optional(),
    /** Of the receipt that both write from these attempts. */
    signature: bytes,
  }),
  /** What a running unit has saved of itself; not signed. */
  z.strictObject({ t: z.literal('checkpoint'), job: digestSchema, unit: index, state }),
  /** Units given back unrun. */
  z.strictObject({ t: z.literal('handback'), job: digestSchema, units: indices, code }),
  /** The sign of life: free slots, units waiting and running at this worker, for this submitter. */
  z.strictObject({ t: z.literal('beat'), slots: z.int().min(0), queued: z.int().min(0), running: z.int().min(0) }),
])
export type ToSubmitter = z.infer<typeof toSubmitterSchema>

/** What a worker signs: the digests of the results in one frame. `ends[i]` belongs to `units[i]`. */
export const receiptSchema = z.strictObject({
  v: z.literal(1),
  worker: z.string().max(100),
  job: digestSchema,
  units: z.array(index).max(LIMITS.FRAME_UNITS_MAX),
  ends: z.array(z.string().max(60)).max(LIMITS.FRAME_UNITS_MAX),
})
export type Receipt = z.infer<typeof receiptSchema>
