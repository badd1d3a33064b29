/** What a node has seen of a peer itself, and what that makes the peer's word worth. */

import { z } from 'zod'
import { count, ms } from './amounts.ts'

/** First-hand evidence about a peer: units it agreed on, was outvoted on, went silent with, or failed alone. */
export const standingSchema = z.object({ agreed: count, outvoted: count, lapsed: count, faulty: count })
export type Standing = z.infer<typeof standingSchema>

/** What a peer's word is worth to jobs that ask for a confidence: docs/verification.md. */
export const peerCreditSchema = z.object({
  /** Checks survived since it was last caught, and how often it was caught: as they count today. */
  checks: z.number().min(0),
  caught: z.number().min(0),
  /** The same as they were when something was last seen of it; null: nothing was. */
  shown: z.object({ checks: z.number().min(0), caught: z.number().min(0), agoMs: ms }).nullable(),
  /** After so long both count half. */
  halfLifeMs: ms,
  /** The share of peers of its class taken to be bad that have shown nothing. */
  bad: z.number().min(0).max(1),
  /** How likely one result of it is wrong. */
  error: z.number().min(0).max(1),
  /** The confidence for which the next is said. */
  goal: z.number(),
  /** Further checks until its word alone is enough; 0: it is. Null: no number of them would do. */
  checksMissing: count.nullable(),
  /** `canary`: settled units only, to see what it says of them; `rest`: nothing yet. */
  admission: z.enum(['work', 'canary', 'rest']),
  /** Undecided units it may have at once; null: any number. */
  undecidedMax: count.nullable(),
})
export type PeerCredit = z.infer<typeof peerCreditSchema>

/** Everything this node keeps of what it has seen of peers, connected or not. */
export const evidenceSchema = z.object({
  schema: z.literal('talkoot.evidence/1'),
  peers: z.array(
    standingSchema.extend({
      peer: z.string(),
      servedMs: ms,
      /** As last written, without what has faded since. */
      checks: z.number().min(0),
      caught: z.number().min(0),
      /** Since then; null: never. */
      creditedAgoMs: ms.nullable(),
    }),
  ),
})
export type PeerEvidence = z.infer<typeof evidenceSchema>
