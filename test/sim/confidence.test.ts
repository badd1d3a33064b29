/** Jobs that ask for a confidence, with liars among the peers and everything else that strikes a mesh. */

import { describe, expect, test } from 'vitest'
import { policySchema } from '../../protocol/manifest.ts'
import type { PeerTraits, Scenario } from './scenario.ts'
import { type Plant, type Report, simulate } from './simulation.ts'

/** `SEED=n` runs that one seed only. */
const only = process.env.SEED === undefined ? null : Number(process.env.SEED)

type Cast = { liars: number; goal: number; collusion: number; units: number; liar: Partial<PeerTraits> }

/** Peers without history; the first of them lie. */
const cast =
  ({ liars, goal, collusion, units, liar }: Cast) =>
  (drawn: Scenario): Scenario => ({
    ...drawn,
    units,
    unitMs: Math.min(drawn.unitMs, 500),
    policy: policySchema.parse({ verify: { kind: 'confidence', goal, collusion }, retries: 20 }),
    peers: drawn.peers.map((peer, i) => ({
      ...peer,
      trust: 'stranger',
      slanders: 0,
      lies: 0,
      ...(i < liars ? { plots: collusion, faulty: 0, ...liar } : {}),
    })),
    program: { failsOn: () => false },
  })

function runs(count: number, peers: number, init: Cast, plant: Plant = {}): Report[] {
  const seeds = only === null ? Array.from({ length: count }, (_, i) => i + 1) : [only]
  return seeds.map((seed) => simulate({ seed, peers, units: init.units, adapt: cast(init), plant }))
}

const sum = (reports: Report[], of: (report: Report) => number) =>
  reports.reduce((total, report) => total + of(report), 0)

const isLiar = (id: string, liars: number) => Number(id.slice('peer-'.length)) < liars

describe('one in five lies, without any history', () => {
  test.each([
    { lies: 1, collusion: 0.01 },
    { lies: 0.3, collusion: 0.01 },
    { lies: 0.05, collusion: 0.01 },
    { lies: 1, collusion: 1 },
    { lies: 0.3, collusion: 1 },
  ])(
    'on $lies of its units, agreeing on $collusion: at most one value in a thousand is wrong',
    ({ lies, collusion }) => {
      const [peers, liars, units] = [30, 6, 600]
      const reports = runs(20, peers, { liars, goal: 0.999, collusion, units, liar: { lies } })
      const wrong = sum(reports, (report) => report.wrong)
      const decided = sum(reports, (report) => report.scenario.units)
      expect(wrong / decided).toBeLessThanOrEqual(0.001)
      for (const { caught } of reports) expect(caught.filter((id) => !isLiar(id, liars))).toEqual([])
      if (only === null) expect(sum(reports, (report) => report.restarts)).toBeGreaterThan(0)
    },
  )
})

describe('who earns its credit and then cheats', () => {
  const [peers, liars, units] = [20, 1, 4_000]
  const liar = { lies: 1, liesAfter: 120, goneAt: Number.POSITIVE_INFINITY, refuses: 'never', speed: 10 } as const
  const turncoat = { liars, goal: 0.999, collusion: 1, units, liar }

  test('is caught, and nothing wrong is left', () => {
    const reports = runs(10, peers, turncoat)
    expect(sum(reports, (report) => report.withdrawn)).toBeGreaterThan(0)
    expect(sum(reports, (report) => report.wrong)).toBe(0)
    for (const { caught } of reports) expect(caught.filter((id) => !isLiar(id, liars))).toEqual([])
  })

  test.each<[string, Plant]>([
    [
      'what hangs on who was caught is not looked at again',
      { event: (event) => (event.type === 'recalled' && !event.last ? null : event) },
    ],
  ])('with a bug put in on purpose, %s, wrong values are left', (_, plant) => {
    expect(
      sum(runs(10, peers, { ...turncoat, liar: { ...liar, lies: 0.2 } }, plant), ({ wrong }) => wrong),
    ).toBeGreaterThan(0)
  })
})
