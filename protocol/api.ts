/**
 * The local HTTP API: what the CLI and the SDK say to the node of this machine, over loopback, with the bearer
 * token of its address file. Every answer is JSON that carries a versioned `schema`. Times that have passed are
 * durations, milliseconds before the answer was made; no clock is shown.
 */

import { z } from 'zod'
import { count, ms } from './amounts.ts'
import { shareSchema } from './api-peers.ts'
import type { TalkootError } from './errors.ts'
import { findingSchema } from './finding.ts'
import { LIMITS } from './limits.ts'
import { digestSchema, policySchema, taskRefSchema } from './manifest.ts'
import { roleSchema } from './membership/roles.ts'
import { reasonSchema } from './reasons.ts'
import { sweepSchema } from './sweep/schema.ts'
import { blameSchema } from './work.ts'

/** Paths of the API, relative to the URL of the address file. `:id` of a job may be a unique prefix. */
export const API = {
  /** GET: Status. */
  status: '/v1/status',
  /** GET: Peers. */
  peers: '/v1/peers',
  /** GET: PeerInfo. */
  peer: (id: string) => `/v1/peers/${encodeURIComponent(id)}`,
  /** GET: PeerExplanation. */
  peerExplanation: (id: string) => `/v1/peers/${encodeURIComponent(id)}/explanation`,
  /** GET: PeerEvidence. */
  evidence: '/v1/evidence',
  /** PUT RuleRequest: PeerRules. DELETE `?verdict=blocked`: PeerRules, or E_NOT_FOUND when there is no such rule. */
  peerRule: (id: string) => `/v1/peers/${encodeURIComponent(id)}/rule`,
  /** The same for all peers whose label `operator` says so. */
  operatorRule: (name: string) => `/v1/operators/${encodeURIComponent(name)}/rule`,
  /** POST TokenRequest: TokenCreated. GET: Tokens. */
  tokens: '/v1/tokens',
  /** DELETE `?members=true` also removes the members it admitted: Revoked. */
  token: (id: string) => `/v1/tokens/${encodeURIComponent(id)}`,
  /** PUT the raw bytes: BlobStored. Refused with E_BLOB when they do not match. Storing twice is no error. */
  blob: (digest: string) => `/v1/blobs/${digest}`,
  /** POST JobRequest `?queue=true`: JobInfo, or 409 E_JOB_UNPLACEABLE with `clauses`. GET: Jobs. */
  jobs: '/v1/jobs',
  /** POST PlanRequest: Plan; nothing is run or kept. */
  plan: '/v1/plan',
  /** GET: JobInfo. DELETE cancels: JobInfo. */
  job: (id: string) => `/v1/jobs/${encodeURIComponent(id)}`,
  /**
   * POST removalRequestSchema: Removed. The jobs are gone when this is answered, what they took of the disk comes back bit by bit.
   * E_JOB_RUNNING of one that runs, E_JOB_NEEDED of one that another needs; then all of them stay.
   */
  removals: '/v1/removals',
  /** POST: nothing of the job is given out until it is released, what runs is taken back: JobInfo. */
  jobHold: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/hold`,
  /** POST: a held job, or one whose predecessor failed, goes on: JobInfo. */
  jobRelease: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/release`,
  /** POST RetryRequest `?queue=true`: JobInfo of a new job with the units that have failed. */
  jobRetry: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/retry`,
  /** GET: JobExplanation. */
  jobExplanation: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/explanation`,
  /** GET: UnitExplanation. */
  unitExplanation: (id: string, unit: number) => `/v1/jobs/${encodeURIComponent(id)}/units/${unit}/explanation`,
  /** POST: the unit is run once more, here; NDJSON of one Reproduction. */
  unitReproduction: (id: string, unit: number) => `/v1/jobs/${encodeURIComponent(id)}/units/${unit}/reproduction`,
  /** GET: UnitLogs. */
  unitLogs: (id: string, unit: number) => `/v1/jobs/${encodeURIComponent(id)}/units/${unit}/logs`,
  /** GET: NDJSON of UnitOutput, as a unit writes it, until it is decided. */
  unitOutput: (id: string, unit: number) => `/v1/jobs/${encodeURIComponent(id)}/units/${unit}/output`,
  /** GET: server-sent events, the data of each a JobSummary; the last has another state than `running`. */
  jobEvents: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/events`,
  /** GET with a ResultsQuery: NDJSON of ResultRow. */
  jobResults: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/results`,
  /** GET: NDJSON as in protocol/proof.ts; whole if its last line is a seal. */
  jobReceipts: (id: string) => `/v1/jobs/${encodeURIComponent(id)}/receipts`,
  /** POST pauseRequestSchema: Status; the machine runs nothing from now on. */
  pause: '/v1/pause',
  /** POST: Status. */
  resume: '/v1/resume',
  /** POST: Stopping, and the node stops. */
  down: '/v1/down',
} as const

/** The address file, readable by its owner only. */
export const addressFileSchema = z.object({
  schema: z.literal('talkoot.api/1'),
  url: z.url(),
  token: z.string().min(1),
  pid: z.int().min(1),
})
export type AddressFile = z.infer<typeof addressFileSchema>

export const clauseSchema = z.object({
  /** A part of `policy.require` joined by &&, or a rule of the mesh, as text. */
  clause: z.string(),
  /** Known peers for which it is false. */
  excludes: count,
  /** Known peers left after it and every clause before it. */
  remaining: count,
})
export type PlacementClause = z.infer<typeof clauseSchema>

/** The body of every answer that is not a success. */
export const errorBodySchema = z.object({
  schema: z.literal('talkoot.error/1'),
  error: z.object({
    code: z.string(),
    message: z.string(),
    mover: z.enum(['user', 'owner', 'peer', 'platform', 'bug']),
    hint: z.string(),
    meta: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string()).readonly()]))
      .optional(),
  }),
  /** With E_JOB_UNPLACEABLE: what each clause excludes. */
  clauses: z.array(clauseSchema).optional(),
})
type ErrorBody = z.infer<typeof errorBodySchema>

export const statusSchema = z.object({
  schema: z.literal('talkoot.status/1'),
  version: z.string(),
  peer: z.string(),
  name: z.string(),
  mesh: z.object({
    id: z.string(),
    fingerprint: z.string(),
    kind: z.enum(['private', 'open']),
    role: roleSchema,
    /** For `up --join`, in an open mesh; null in a private one, where each machine needs a token. */
    invitation: z.string().nullable(),
  }),
  pid: z.int(),
  uptimeMs: ms,
  listen: z.array(z.string()),
  url: z.string(),
  offering: z.object({
    cpus: count,
    /** Bytes. */
    memory: count,
    /** Bytes. */
    disk: count,
    slots: count,
    slotsUsed: count,
  }),
  /** What is taken of the disk, bytes: of `budget`, by files of jobs, unpacked images among them; beside it, by what units of own jobs left. */
  disk: z.object({ budget: count, used: count, images: count, unitFiles: count }),
  runtimes: z.array(z.object({ kind: z.string(), version: z.string(), confinement: z.enum(['os', 'runtime']) })),
  /** The strongest confinement that was proved by running a unit, or null when nothing can be run. */
  confinement: z.enum(['os', 'runtime']).nullable(),
  warnings: z.array(z.string()),
  /** Connected and admitted, this node not counted. */
  peers: count,
  jobs: z.object({ running: count, done: count, cancelled: count }),
  /** By the owner: for how long by now, and when it ends; null: until the owner resumes. */
  paused: z.object({ forMs: ms, returnsInMs: ms.nullable() }).nullable(),
  /** What this machine does for others and for itself. */
  working: z.object({
    running: count,
    queued: count,
    total: count,
    /** By submitter, most slot time first. */
    shares: z.array(shareSchema),
  }),
})
export type Status = z.infer<typeof statusSchema>

/** How long the machine is to be paused, milliseconds; null: until it is resumed. */
export const pauseRequestSchema = z.strictObject({ forMs: z.int().min(1).nullable().default(null) })

export const blobStoredSchema = z.object({
  schema: z.literal('talkoot.blob/1'),
  digest: digestSchema,
  bytes: z.int().min(1),
})
export type BlobStored = z.infer<typeof blobStoredSchema>

/** Task and rows are stored as blobs first; a job that names a blob the node does not have is E_JOB_INVALID. */
export const jobRequestSchema = z.strictObject({
  name: z.string().max(LIMITS.JOB_NAME_MAX_CHARS).default(''),
  task: taskRefSchema,
  sweep: sweepSchema,
  policy: policySchema.prefault({}),
  /** Jobs of this node, by id or unique prefix, that must end well first. */
  after: z.array(z.string().min(1).max(100)).max(LIMITS.JOB_AFTER_MAX).default([]),
})
export type JobRequest = z.input<typeof jobRequestSchema>

/** What is not given is as in the job whose units are run again. */
export const retryRequestSchema = z.strictObject({
  name: jobRequestSchema.shape.name.unwrap().optional(),
  task: taskRefSchema.optional(),
  policy: policySchema.optional(),
  after: jobRequestSchema.shape.after,
})
export type RetryRequest = z.input<typeof retryRequestSchema>

/** Jobs that have ended, by id or unique prefix. */
export const removalRequestSchema = z.strictObject({
  jobs: z.array(z.string().min(1).max(100)).min(1).max(LIMITS.REMOVAL_JOBS_MAX),
})

export const removedSchema = z.object({ schema: z.literal('talkoot.removed/1'), jobs: z.array(digestSchema) })
export type Removed = z.infer<typeof removedSchema>

export const jobQuerySchema = z.object({ queue: z.stringbool().default(false) })

/** `done`: every unit is accepted or failed. */
export const jobStateSchema = z.enum(['running', 'done', 'cancelled'])
export type JobState = z.infer<typeof jobStateSchema>

export const jobInfoSchema = z.object({
  schema: z.literal('talkoot.job/1'),
  id: digestSchema,
  name: z.string(),
  state: jobStateSchema,
  createdAgoMs: ms,
  /** How long a job that runs has been held; null: it is not. */
  heldForMs: ms.nullable(),
  /** Why it was stopped, as long as it is; null: it was not. */
  stopped: findingSchema.nullable(),
  /** Jobs that must end well before any unit of this one is given out. */
  after: z.array(digestSchema),
  /** The job whose failed units, under their numbers there, are the units of this one; null: it runs all of its sweep. */
  retryOf: digestSchema.nullable(),
  units: count,
  accepted: count,
  failed: count,
  /** Units with at least one attempt in flight. */
  running: count,
  /** Attempts that came to an end, wherever their result went, or were cut off as not needed any more. */
  executions: count,
  /** Those of them whose result was not needed: another copy of the unit was there first. */
  wasted: count,
  /** Units on which at least two peers did not agree. */
  disagreements: count,
  /** How many of the accepted values are expected to be wrong, on the assumptions of the job; null without a confidence. */
  expectedWrong: z.number().min(0).nullable(),
  /** Of the units that do not run, and for how long it has been so. */
  waiting: z.array(z.object({ reason: reasonSchema, units: count, sinceMs: ms })),
  /** Peers whose result was part of a decided unit. */
  peers: z.array(z.object({ peer: z.string(), name: z.string(), accepted: count })),
  task: taskRefSchema,
  /** What made the points; its lists of values may be long. */
  sweep: sweepSchema,
  policy: policySchema,
})
export type JobInfo = z.infer<typeof jobInfoSchema>

/** A job without its sweep, which may be long. */
export const jobSummarySchema = jobInfoSchema.omit({ sweep: true })
export type JobSummary = z.infer<typeof jobSummarySchema>

/** Newest first. */
export const jobsSchema = z.object({
  schema: z.literal('talkoot.jobs/1'),
  jobs: z.array(jobSummarySchema),
})
export type Jobs = z.infer<typeof jobsSchema>

/** As it stands in a URL. */
export const resultsQuerySchema = z.object({
  /** Wait for results still to come, until the job is settled. Without it: those there are. */
  follow: z.stringbool().default(false),
  /** `completion`: as they were decided. `input`: by unit. */
  order: z.enum(['completion', 'input']).default('completion'),
  /** The last cursor seen: a row's `seq` in completion order, its `unit` in input order. Absent: from the start. */
  after: z.coerce.number().int().min(0).optional(),
  /** Only failed units. */
  failed: z.stringbool().default(false),
})
export type ResultsQuery = z.infer<typeof resultsQuerySchema>

const rowBase = {
  unit: count,
  /** Grows with each unit decided; the cursor of completion order. */
  seq: count,
  params: z.record(z.string(), z.json()),
  /** Whose results decided it. */
  peers: z.array(z.string()),
  attempts: count,
  /** How often the unit was decided before, and that withdrawn: this row takes the place of any with less. Absent: 0. */
  revision: count.optional(),
}

/** One decided unit. A stream that ends while its job is `running` was cut: ask again from the last cursor. */
export const resultRowSchema = z.discriminatedUnion('status', [
  z.object({
    ...rowBase,
    status: z.literal('accepted'),
    value: z.json(),
    /** The probability that the value is right, where the job asks for a confidence. */
    confidence: z.number().min(0).max(1).optional(),
  }),
  z.object({
    ...rowBase,
    status: z.literal('failed'),
    error: z.object({ code: z.string(), message: z.string() }),
    blame: blameSchema,
  }),
])
export type ResultRow = z.infer<typeof resultRowSchema>

export const stoppingSchema = z.object({ schema: z.literal('talkoot.stopping/1'), pid: z.int() })
export type Stopping = z.infer<typeof stoppingSchema>

/** The body that says an error; `TalkootError.fromObject` of its `error` has the same code, message and meta. */
export function errorBody(error: TalkootError, clauses?: PlacementClause[]): ErrorBody {
  const body: ErrorBody = { schema: 'talkoot.error/1', error: error.toObject() }
  return clauses === undefined ? body : { ...body, clauses }
}
