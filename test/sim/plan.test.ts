/** What `plan` expects of a confidence is what the scheduler takes: strangers without history, none of which is wrong. */

import { expect, test } from 'vitest'
import { confidencePlan } from '../../node/jobs/confidence-plan.ts'
import { policySchema } from '../../protocol/manifest.ts'
import type { Scenario } from './scenario.ts'
import { simulate } from './simulation.ts'

const PEERS = 30
const SLOTS = 2
const UNIT_MS = 100
const speedOf = (peer: number) => 1 + (peer % 4) / 4

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
  const adapt = (drawn: Scenario): Scenario => ({
    ...drawn,
    units,
    unitMs: UNIT_MS,
    policy: policySchema.parse({ verify, retries: 20 }),
    program: { failsOn: () => false },
    faultEveryMs: 1e12,
    endAt: 3_600_000,
    submitterRestarts: 0,
    peers: drawn.peers.map((peer, i) => ({
      ...peer,
      trust: 'stranger',
      slots: SLOTS,
      speed: speedOf(i),
      latencyMs: 5,
      lies: 0,
      plots: collusion,
      liesAfter: 0,
      faulty: 0,
      slanders: 0,
      refuses: 'never',
      goneAt: Number.POSITIVE_INFINITY,
    })),
  })
  let executions = 0
  for (let seed = 1; seed <= runs; seed++) executions += simulate({ seed, peers: PEERS, units, adapt }).executions
  const planned = confidencePlan(
    verify,
    units,
    Array.from({ length: PEERS }, (_, i) => ({
      trust: 'stranger',
      credit: { checks: 0, caught: 0 },
      slots: SLOTS,
      speed: speedOf(i),
      unitMs: UNIT_MS / speedOf(i),
    })),
  ).executions
  const ratio = (planned * runs) / executions
  expect(ratio).toBeGreaterThan(0.99)
  expect(ratio).toBeLessThan(1.01)
})
