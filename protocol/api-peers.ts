/** The peers of a node, as its local API tells of them. */

import { z } from 'zod'
import { adSchema } from './ad.ts'
import { count, ms } from './amounts.ts'
import { roleSchema } from './membership/roles.ts'
import { peerCreditSchema, standingSchema } from './peer-credit.ts'
import { peerRuleSchema } from './peer-rules.ts'

/** What one submitter has of the slots of this machine. */
export const shareSchema = z.object({
  peer: z.string(),
  name: z.string(),
  /** Against others that want slots here at the same time. */
  weight: z.number().min(0),
  /** Slot time it used since it came, milliseconds. */
  slotMs: ms,
  running: count,
  queued: count,
})

export const peerInfoSchema = z.object({
  schema: z.literal('talkoot.peer/1'),
  id: z.string(),
  name: z.string(),
  role: roleSchema,
  trust: z.enum(['self', 'member', 'stranger']),
  self: z.boolean(),
  /** False for a peer that members told of, with its own signed ad, and that is still being dialled. */
  connected: z.boolean(),
  /** Null for this node and for peers not connected now. */
  direction: z.enum(['inbound', 'outbound']).nullable(),
  address: z.string().nullable(),
  /** Its last statement, or null when none is known. */
  ad: adSchema.nullable(),
  /** Since its last sign of life; of a peer not connected, to those who told of it. Null when there was none. */
  lastSeenMs: ms.nullable(),
  standing: standingSchema,
  credit: peerCreditSchema,
  /** What it has of the slots of this machine; null when it asked for none lately. */
  share: shareSchema.omit({ peer: true, name: true }).nullable(),
  /** Slot time of accepted work it did for this machine, milliseconds; it raises its weight here. */
  servedMs: ms,
  /** Outvoted often enough that its results are no longer asked for. */
  liar: z.boolean(),
  /** What was decided of it here, by itself or by its operator. */
  rule: peerRuleSchema.nullable(),
  notes: z.array(z.string()),
})
export type PeerInfo = z.infer<typeof peerInfoSchema>

/** Somebody this node turned away, newest first. */
const refusalSchema = z.object({
  /** Null when it never proved who it is. */
  peer: z.string().nullable(),
  address: z.string(),
  code: z.string(),
  count,
  agoMs: ms,
})
export type Refusal = z.infer<typeof refusalSchema>

export const peersSchema = z.object({
  schema: z.literal('talkoot.peers/1'),
  peers: z.array(peerInfoSchema),
  /** Who is blocked or trusted here, connected or not; oldest first. */
  rules: z.array(peerRuleSchema),
  refused: z.array(refusalSchema),
})
export type Peers = z.infer<typeof peersSchema>
