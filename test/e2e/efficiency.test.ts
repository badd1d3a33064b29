/**
 * Slots are kept busy: units of 50 ms and of 10 ms through two nodes, against the same units in bare sandboxes before and
 * after. The design asks for 95% and 90% on a machine of one's own (`npm run bench -- --only 'ms units'`); these bounds
 * leave room for whoever else is on it, and still find a slot that waits for every unit.
 */

import { expect, it } from 'vitest'
import type { Benchmark } from '../../bench/benchmark.ts'
import { units10ms, units50ms } from '../../bench/suite/short-units.ts'

const ROUNDS_MAX = 6

it.each<[Benchmark, number]>([
  [units50ms, 70],
  [units10ms, 55],
])(
  '%# keeps two slots busy',
  async (benchmark, least) => {
    await using measuring = await benchmark.open({ quick: false })
    let best = 0
    for (let round = 0; round < ROUNDS_MAX && best < least; round++) {
      best = Math.max(best, (await measuring.round()).efficiency ?? 0)
    }
    console.log(`${benchmark.name}: ${best.toFixed(1)}% of bare sandboxes`)
    expect(best).toBeGreaterThan(least)
  },
  900_000,
)
