/** In fair weather the peers are kept busy, whatever a unit takes, and few units are run in vain. */

import { expect, test } from 'vitest'
import { policySchema } from '../../protocol/manifest.ts'
import type { Scenario } from './scenario.ts'
import { simulate } from './simulation.ts'

type Case = { unitMs: number; units: number; peers: number; even: boolean; least: number }

const cases: Case[] = [
  { unitMs: 0.02, units: 400_000, peers: 2, even: true, least: 0.5 },
  { unitMs: 1, units: 100_000, peers: 4, even: true, least: 0.9 },
  { unitMs: 50, units: 4_000, peers: 4, even: true, least: 0.95 },
  { unitMs: 50, units: 8_000, peers: 20, even: false, least: 0.9 },
  { unitMs: 5_000, units: 2_000, peers: 20, even: false, least: 0.85 },
  { unitMs: 3_600_000, units: 1_000, peers: 20, even: false, least: 0.8 },
]

test.each(cases)('$units units of $unitMs ms on $peers peers', ({ unitMs, units, peers, even, least }) => {
  const adapt = (scenario: Scenario): Scenario => ({ ...fair(scenario, even), units, unitMs })
  const { virtualMs, runs, scenario } = simulate({ seed: 1, peers, units, adapt })
  const rate = scenario.peers.reduce((total, { slots, speed }) => total + slots * speed, 0)
  const ideal = (units * unitMs) / rate
  const efficiency = ideal / (virtualMs - scenario.startAt)
  expect(efficiency).toBeGreaterThan(least)
  expect(runs).toBeLessThan(1.1 * units)
})

function fair(scenario: Scenario, even: boolean): Scenario {
  const sound = { lies: 0, slanders: 0, faulty: 0, refuses: 'never', goneAt: Number.POSITIVE_INFINITY } as const
  return {
    ...scenario,
    peers: scenario.peers.map((peer, i) => ({
      ...peer,
      ...sound,
      slots: 2,
      speed: even ? 1 : 1 + (i % 5),
      latencyMs: 0.3,
    })),
    policy: policySchema.parse({ timeoutMs: 24 * 3_600_000 }),
    startAt: 2_000,
    healedAt: 0,
    endAt: Number.POSITIVE_INFINITY,
    submitterRestarts: 0,
    duplicates: 0,
    program: { failsOn: () => false },
  }
}
