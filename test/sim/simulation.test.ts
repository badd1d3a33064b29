import { describe, expect, test } from 'vitest'
import { Violation } from './checker.ts'
import { PLANTS } from './plants.ts'
import { type Plant, type Report, simulate } from './simulation.ts'

/** `SEED=n` runs that one seed only. */
const only = process.env.SEED === undefined ? null : Number(process.env.SEED)

describe('the simulator', () => {
  test('200 seeds of 100 peers: every unit is decided once and rightly', () => {
    const reports = seeds(200).map((seed) => simulate({ seed, peers: 100, units: 1_000 }))
    if (only !== null) return
    // The faults did happen, and what they cost is bounded.
    expect(sum(reports, 'restarts')).toBeGreaterThan(20)
    expect(sum(reports, 'failed')).toBeGreaterThan(100)
    expect(sum(reports, 'runs')).toBeLessThan(4 * reports.reduce((total, { scenario }) => total + wanted(scenario), 0))
  })

  test.each([3, 4, 7, 15])('100 seeds of %i peers', (peers) => {
    for (const seed of seeds(100)) simulate({ seed, peers, units: 200 })
  })

  test('100 seeds of 30 peers whose units save their state: each goes on from its last, and none from what it may not', () => {
    const reports = seeds(100).map((seed) =>
      simulate({ seed, peers: 30, units: 200, adapt: (drawn) => ({ ...drawn, saves: true }) }),
    )
    if (only === null) expect(sum(reports, 'handedOn')).toBeGreaterThan(100)
  })

  test('a seed gives the same run again, event by event', () => {
    const trace = (): string[] => {
      const lines: string[] = []
      simulate({ seed: only ?? 7, peers: 30, units: 200, trace: (line) => lines.push(line) })
      return lines
    }
    expect(trace()).toEqual(trace())
  })

  test.each(PLANTS)('finds it when $bug', ({ plant, found }) => {
    const violation = firstViolation(plant)
    expect(violation?.message).toMatch(found)
    expect(violation?.message).toMatch(/^seed \d+, .*\nrun it again with: node test\/sim\/run\.ts --seed \d+ /s)
  })
})

const seeds = (count: number): number[] => (only === null ? Array.from({ length: count }, (_, i) => i + 1) : [only])

const sum = (reports: Report[], key: 'restarts' | 'failed' | 'runs' | 'handedOn') =>
  reports.reduce((total, report) => total + report[key], 0)

/** Executions without any fault. */
const wanted = ({ units, policy: { verify } }: Report['scenario']) =>
  units * (verify.kind === 'quorum' ? verify.agree : 1)

function firstViolation(plant: () => Plant): Violation | null {
  for (let seed = 1; seed <= 50; seed++) {
    try {
      simulate({ seed, peers: 100, units: 500, plant: plant() })
    } catch (error) {
      if (error instanceof Violation) return error
      throw error
    }
  }
  return null
}
