/** What the user of a node has decided of single peers, or of all peers of an operator: blocked, or trusted. */

import { z } from 'zod'
import type { Ad } from './ad.ts'
import { LIMITS } from './limits.ts'

/** `blocked`: no work to it nor from it. `trusted`: its results are believed like a member's. */
export const peerVerdictSchema = z.enum(['blocked', 'trusted'])
export type PeerVerdict = z.infer<typeof peerVerdictSchema>

/** Whom a rule is about: a peer by id, or every peer whose label `operator` says so. */
export type RuleTarget = { kind: 'peer' | 'operator'; who: string }

export const peerRuleSchema = z.object({
  kind: z.enum(['peer', 'operator']),
  who: z.string(),
  verdict: peerVerdictSchema,
  /** In the user's words; may be empty. */
  reason: z.string(),
  /** For how long by now, milliseconds. */
  forMs: z.number().min(0),
})
export type PeerRule = z.infer<typeof peerRuleSchema>

export const peerRulesSchema = z.object({ schema: z.literal('talkoot.peer-rules/1'), rules: z.array(peerRuleSchema) })
export type PeerRules = z.infer<typeof peerRulesSchema>

export const ruleRequestSchema = z.strictObject({
  verdict: peerVerdictSchema,
  reason: z.string().max(LIMITS.PEER_RULE_REASON_MAX_CHARS).default(''),
})
export type RuleRequest = z.output<typeof ruleRequestSchema>

/** The operator a peer says it has; a peer may say anything, so rules on it are a convenience, not a wall. */
export const operatorOf = ({ labels }: Pick<Ad, 'labels'>): string | null => labels.operator ?? null
