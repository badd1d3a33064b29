/** A job's manifest: task x sweep x policy, immutable, signed by its submitter. Its digest is the job's id. */

import { z } from 'zod'
import { canonicalBytes, DIGEST_PATTERN, decodeCanonical, digestOf } from './canonical.ts'
import { TalkootError } from './errors.ts'
import { faultText } from './fault-text.ts'
import { parseToFirstFault } from './first-fault.ts'
import { LIMITS } from './limits.ts'
import { runtimeKindSchema } from './runtime-kinds.ts'
import { unitRunsSchema } from './sweep/chosen.ts'
import { sweepSchema } from './sweep/schema.ts'

export const digestSchema = z.string().regex(DIGEST_PATTERN)

const expression = z.string().max(LIMITS.EXPRESSION_MAX_CHARS)

/**
 * How results of one unit are compared.
 * - `exact`: the bytes of their canonical encoding;
 * - `tolerance`: numbers within `absolute + relative * max(|a|, |b|)`, everything else exactly;
 * - `function`: the `agree(a, b)` the task module exports, run in the submitter's own sandbox.
 */
const agreeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('exact') }),
  z.strictObject({
    kind: z.literal('tolerance'),
    relative: z.number().nonnegative().max(1).default(0),
    absolute: z.number().nonnegative().default(0),
  }),
  z.strictObject({ kind: z.literal('function') }),
])
export type Agree = z.infer<typeof agreeSchema>

/** Less is no confidence; more is beyond what the submitter's own machine can promise. */
const CONFIDENCE_MIN = 0.5
const CONFIDENCE_MAX = 1 - 1e-8

/**
 * `none`: the first result is taken. `quorum`: `agree` results that agree, of at most `of` executions on different peers.
 * `confidence`: as many as it takes until a value is right with the probability `goal`; `collusion` is the chance that
 * two bad results of strangers for one unit agree, 1: all who lie tell the same lie. docs/verification.md.
 */
const verifySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z
    .strictObject({
      kind: z.literal('quorum'),
      agree: z.int().min(1).max(LIMITS.QUORUM_MAX),
      of: z.int().min(1).max(LIMITS.QUORUM_MAX),
    })
    .refine((quorum) => quorum.of >= quorum.agree, { error: 'quorum.of must be at least quorum.agree' }),
  z.strictObject({
    kind: z.literal('confidence'),
    goal: z.number().min(CONFIDENCE_MIN).max(CONFIDENCE_MAX),
    collusion: z.number().min(0).max(1).default(1),
  }),
])
export type Verify = z.infer<typeof verifySchema>

export const policySchema = z.strictObject({
  /** CEL over `peer`: only peers for which it is true are given units. Empty: any peer. */
  require: expression.default(''),
  /** CEL over `peer`: a number, higher is tried first. Empty: the measured speed. */
  rank: expression.default(''),
  /** CEL over `peer`: a text. The results of a unit come from peers for which it is the same. Empty: from any. */
  alike: expression.default(''),
  verify: verifySchema.default({ kind: 'none' }),
  agree: agreeSchema.default({ kind: 'exact' }),
  /** Further attempts of one unit after failures that may not happen again. */
  retries: z.int().min(0).max(LIMITS.RETRIES_MAX).default(3),
  /** The longest one unit may run, milliseconds. */
  timeoutMs: z.int().min(1).max(LIMITS.UNIT_TIMEOUT_MAX_MS).default(LIMITS.UNIT_TIMEOUT_DEFAULT_MS),
  /** Cores one unit may use: a peer runs so many fewer units at once. */
  cpus: z.int().min(1).max(LIMITS.UNIT_CPUS_MAX).default(1),
  /** Memory one unit may use, MiB. */
  memoryMiB: z.int().min(16).max(LIMITS.UNIT_MEMORY_MAX_MIB).default(LIMITS.UNIT_MEMORY_DEFAULT_MIB),
  /** From submission, milliseconds; what is undecided then fails with E_DEADLINE. 0: none. */
  deadlineMs: z.int().min(0).default(0),
  /** Against other jobs of the same submitter: each step up doubles the share. No job is ever left without a turn. */
  priority: z.int().min(-LIMITS.PRIORITY_STEPS_MAX).max(LIMITS.PRIORITY_STEPS_MAX).default(0),
  /** Seeds Math.random, per unit, the same on every peer. */
  seed: z.int().min(0).max(0xffffffff).default(0),
})
export type Policy = z.infer<typeof policySchema>

export const taskRefSchema = z.strictObject({
  runtime: runtimeKindSchema,
  /** Digest of its source. */
  digest: digestSchema,
  bytes: z.int().min(1).max(LIMITS.TASK_MAX_BYTES),
})
export type TaskRef = z.infer<typeof taskRefSchema>

const retrySchema = z.strictObject({ job: digestSchema, units: unitRunsSchema })
export type Retry = z.infer<typeof retrySchema>

export const manifestSchema = z.strictObject({
  v: z.literal(1),
  name: z.string().max(LIMITS.JOB_NAME_MAX_CHARS),
  mesh: z.string().max(100),
  submitter: z.string().max(100),
  /** Random; makes two submissions of one sweep two jobs. */
  nonce: z.string().max(64),
  task: taskRefSchema,
  sweep: sweepSchema,
  policy: policySchema,
  /** It runs again, under their numbers, units of this sweep that failed in another job; null: all of the sweep. */
  retryOf: retrySchema.nullable().default(null),
  /** Jobs of the same submitter that must end well before any unit of this one is given out. */
  after: z.array(digestSchema).max(LIMITS.JOB_AFTER_MAX).default([]),
})
export type Manifest = z.infer<typeof manifestSchema>

/** Digest of the canonical manifest. Job ids are shown by their first characters, never shorter than is unique. */
export type JobId = string

/** The canonical bytes of a manifest: what is signed, stored and sent. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes = canonicalBytes(manifest)
  if (bytes.length > LIMITS.MANIFEST_MAX_BYTES) {
    throw new TalkootError(
      'E_JOB_INVALID',
      `the job description is ${bytes.length} bytes, ${LIMITS.MANIFEST_MAX_BYTES} at most`,
    )
  }
  return bytes
}

/** @throws E_JOB_INVALID on bytes that are too long, malformed or of another shape. */
export function decodeManifest(bytes: Uint8Array): { id: JobId; manifest: Manifest } {
  if (bytes.length > LIMITS.MANIFEST_MAX_BYTES) {
    throw new TalkootError(
      'E_JOB_INVALID',
      `the job description is ${bytes.length} bytes, ${LIMITS.MANIFEST_MAX_BYTES} at most`,
    )
  }
  let parsed: z.ZodSafeParseResult<Manifest>
  try {
    parsed = parseToFirstFault(manifestSchema, decodeCanonical(bytes))
  } catch (cause) {
    throw new TalkootError('E_JOB_INVALID', 'the job description is not canonical', { cause })
  }
  if (!parsed.success) throw new TalkootError('E_JOB_INVALID', faultText(parsed.error))
  return { id: digestOf(bytes), manifest: parsed.data }
}
