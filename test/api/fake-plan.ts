/** A plan as a mesh of small machines would make it. */

import type { z } from 'zod'
import type { Plan, planRequestSchema } from '../../protocol/plan.ts'
import { REASONS } from '../../protocol/reasons.ts'

export const fakePlan = ({ unitMs, policy }: z.output<typeof planRequestSchema>): Plan => ({
  schema: 'talkoot.plan/1',
  units: 20_000,
  confidence: null,
  peers: { known: 12, matching: 3, paused: 1, slots: 8, freeSlots: 5 },
  clauses: [
    { clause: 'offers cores', excludes: 0, remaining: 12 },
    { clause: 'peer.memory >= 16 * GiB', excludes: 9, remaining: 3 },
  ],
  relaxations: [
    { changes: [{ clause: 'peer.memory >= 16 * GiB', to: 'peer.memory >= 12 * GiB' }], gains: 9 },
    { changes: [{ clause: 'peer.os == "linux"', to: null }], gains: 1 },
  ],
  blocked: policy.require === 'false' ? { reason: 'no-match', ...REASONS['no-match'] } : null,
  executions: { likely: 40_400, most: 120_000 },
  unitTime: unitMs === null ? null : { ms: unitMs, from: 'given', job: null, units: 0 },
  finish: unitMs === null ? null : { lowMs: 60_000, likelyMs: 90_000, highMs: 180_000 },
  assumes: ['no peer comes, leaves, or is paused'],
})
