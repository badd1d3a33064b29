/** What `explain` answers: why a job, a unit or a peer is where it is. Durations are milliseconds before the answer. */

import { z } from 'zod'
import { count, ms } from './amounts.ts'
import { clauseSchema, jobStateSchema, resultRowSchema } from './api.ts'
import { findingSchema } from './finding.ts'
import { LIMITS } from './limits.ts'
import { digestSchema } from './manifest.ts'
import { REASONS, type Reason, reasonSchema } from './reasons.ts'
import { blameSchema } from './work.ts'

/** A reason with the words of the list, for whoever does not have the list. */
const reasonedSchema = z.object({
  reason: reasonSchema,
  says: z.string(),
  mover: z.enum(['user', 'owner', 'peer', 'platform', 'bug', 'nobody']),
  hint: z.string(),
  sinceMs: ms,
})
export type Reasoned = z.infer<typeof reasonedSchema>

export const reasoned = (reason: Reason, sinceMs: number): Reasoned => ({ reason, ...REASONS[reason], sinceMs })

/** Peers that get nothing of the job for one reason. */
const peerGroupSchema = z.object({
  reason: reasonSchema,
  says: z.string(),
  peers: count,
  /** Of the peer for which it has been so longest. */
  sinceMs: ms,
  /** Until the first of them may be back, where that is known. */
  returnsInMs: ms.nullable(),
  /** Bytes that have come of the files of the job, all of these peers together; null: they fetch none. */
  fetched: z.object({ bytes: count, of: count }).nullable(),
  /** Codes of refusals and faults behind it. */
  codes: z.array(z.string()).max(LIMITS.EXPLAIN_NAMES_MAX),
  /** Some of them: names, or ids where there is no name. */
  names: z.array(z.string()).max(LIMITS.EXPLAIN_NAMES_MAX),
})
export type PeerGroup = z.infer<typeof peerGroupSchema>

const peersSchema = z.object({
  /** This machine and every peer admitted now. */
  known: count,
  /** Peers with units of the job in their hands, and how many units. */
  working: count,
  units: count,
  idle: z.array(peerGroupSchema),
})

/** Another job this one follows. */
const precedingSchema = z.object({
  job: digestSchema,
  name: z.string(),
  state: jobStateSchema.nullable(),
  failed: count,
})

export const jobExplanationSchema = z.object({
  schema: z.literal('talkoot.explain.job/1'),
  job: digestSchema,
  name: z.string(),
  state: jobStateSchema,
  units: count,
  accepted: count,
  failed: count,
  running: count,
  /** The reasons of all units that do not run. */
  waiting: z.array(reasonedSchema.extend({ units: count })),
  /** What in its results made it be stopped; null: it was not. */
  stopped: findingSchema.nullable(),
  peers: peersSchema,
  /** What each clause of the job excludes of the known peers. */
  clauses: z.array(clauseSchema),
  after: z.array(precedingSchema),
})
export type JobExplanation = z.infer<typeof jobExplanationSchema>

const attemptSchema = z.object({
  peer: z.string(),
  name: z.string(),
  /** `running`: in its hands; `gone`: it had the unit and lost it; `voiced`: its word counts; `failed`: its failure does not. */
  holding: z.enum(['running', 'gone', 'failed', 'voiced']),
  givenMs: ms,
  said: z
    .discriminatedUnion('ok', [
      z.object({ ok: z.literal(true), digest: z.string() }),
      z.object({ ok: z.literal(false), code: z.string(), message: z.string(), blame: blameSchema }),
    ])
    .nullable(),
})

export const unitExplanationSchema = z.object({
  schema: z.literal('talkoot.explain.unit/1'),
  job: digestSchema,
  unit: count,
  params: z.record(z.string(), z.json()),
  /** `given-up`: the job was cancelled before it was decided. */
  state: z.enum(['waiting', 'running', 'decided', 'given-up']),
  /** How long it has been running; null in any other state. */
  runningMs: ms.nullable(),
  /** Why it waits; null in any other state. */
  waiting: reasonedSchema.nullable(),
  /** Further copies wanted beyond those that run. */
  missing: count,
  attempts: z.array(attemptSchema),
  /** What this node has of what it last saved of itself: by which peer, and how long ago it came. */
  checkpoint: z.object({ peer: z.string(), bytes: count, savedMs: ms }).nullable(),
  /** What was decided, and by whose results. */
  outcome: resultRowSchema.nullable(),
  peers: peersSchema,
})
export type UnitExplanation = z.infer<typeof unitExplanationSchema>

export const peerExplanationSchema = z.object({
  schema: z.literal('talkoot.explain.peer/1'),
  peer: z.string(),
  name: z.string(),
  self: z.boolean(),
  /** `working`: it has units of jobs submitted here. */
  state: z.enum(['working', 'idle']),
  /** Units of jobs submitted here that are in its hands. */
  units: count,
  /** Why it has none; null when it has. */
  idle: reasonedSchema.nullable(),
  returnsInMs: ms.nullable(),
  /** How it stands to each job that runs here. */
  jobs: z.array(
    z.object({
      job: digestSchema,
      name: z.string(),
      units: count,
      idle: reasonedSchema.nullable(),
      /** Of a refusal or a fault. */
      code: z.string().nullable(),
      restsForMs: ms.nullable(),
      agreed: count,
      outvoted: count,
      /** Clauses of the job that it does not satisfy. */
      fails: z.array(z.string()),
    }),
  ),
  notes: z.array(z.string()),
})
export type PeerExplanation = z.infer<typeof peerExplanationSchema>
