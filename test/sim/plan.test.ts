/** What `plan` expects of a confidence is what the scheduler takes: strangers without history, none of which is wrong. */

import { expect, test } from 'vitest'
import { confidencePlan } from '../../node/jobs/confidence-plan.ts'
import { simulate } from './simulation.ts'
import { STRANGER_SLOTS, STRANGER_UNIT_MS, strangerSpeed, strangers } from './strangers.ts'

const PEERS = 30

/** The cells of the table in docs/verification.md, "In a node". */
test.each([
  [20, 0.01, 1],
  [20, 1, 2],
  [100, 0.01, 2],
  [100, 1, 2],
  [400, 0.01, 1],
  [400, 1, 1],
])('%d units a peer, collusion %d: within a hundredth (seeds: %d)', (perPeer, collusion, runs) => {
  const verify = { kind: 'confidence', goal: 0.999, collusion } as const
  const units = PEERS * perPeer
  const adapt = strangers({ units, verify, collusion })
  let executions = 0
  for (let seed = 1; seed <= runs; seed++) executions += simulate({ seed, peers: PEERS, units, adapt }).executions
  const planned = confidencePlan(
    verify,
    units,
    Array.from({ length: PEERS }, (_, i) => ({
      trust: 'stranger',
      credit: { checks: 0, caught: 0 },
      slots: STRANGER_SLOTS,
      speed: strangerSpeed(i),
      unitMs: STRANGER_UNIT_MS / strangerSpeed(i),
    })),
  ).executions
  const ratio = (planned * runs) / executions
  expect(ratio).toBeGreaterThan(0.99)
  expect(ratio).toBeLessThan(1.01)
})
