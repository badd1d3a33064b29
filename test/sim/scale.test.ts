/** The real scheduler core on a mesh of 10,000 peers, and on many meshes of 200. */

import { expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { liveHeap } from './heap.ts'
import { atScale } from './scale.ts'
import { simulate } from './simulation.ts'

const MINUTE_MS = 60_000
const MiB = 2 ** 20

test('1,000,000 units on 10,000 faulty peers: each decided once, in five minutes of one core, in memory that stays flat', {
  timeout: 15 * MINUTE_MS,
}, () => {
  const [peers, units] = [10_000, 1_000_000]
  const heap = liveHeap()
  const before = heap()
  const heapsMiB: number[] = []
  let most = { undecidedUnits: 0, inFlight: 0 }
  const sample = (decided: number, load: { undecidedUnits: number; inFlight: number }) => {
    most = {
      undecidedUnits: Math.max(most.undecidedUnits, load.undecidedUnits),
      inFlight: Math.max(most.inFlight, load.inFlight),
    }
    if (decided >= ((heapsMiB.length + 1) / 5) * 0.95 * units) heapsMiB.push((heap() - before) / MiB)
  }
  const cpuBefore = process.cpuUsage()
  const { runs, failed, restarts } = simulate({ seed: 1, peers, units, adapt: atScale(units), sample })
  const cpu = process.cpuUsage(cpuBefore)
  expect((cpu.user + cpu.system) / 1_000).toBeLessThan(5 * MINUTE_MS)
  expect(failed).toBe(Math.ceil((units - 3) / 997))
  expect(restarts).toBe(1)
  expect(runs).toBeLessThan(1.1 * 2 * units)
  expect(most.undecidedUnits).toBeLessThanOrEqual(LIMITS.UNDECIDED_UNITS_MAX)
  // Peers, simulated machines and their messages included; a fifth of the way and all of it hold the same.
  expect(heapsMiB).toHaveLength(5)
  expect(Math.max(...heapsMiB)).toBeLessThan(300)
  expect(Math.max(...heapsMiB)).toBeLessThan(1.25 * (heapsMiB[0] ?? 0))
  console.info(`heap at each fifth, MiB: ${heapsMiB.map(Math.round).join(' ')}; ${JSON.stringify(most)}`)
})

test('1,000 seeds of 200 faulty peers: every unit is decided once and rightly', { timeout: 15 * MINUTE_MS }, () => {
  for (let seed = 1; seed <= 1_000; seed++) simulate({ seed, peers: 200, units: 1_000 })
})
