/** The smaller sister of `bench/newcomers.ts`, which takes a hundred nodes: the same measured, on every run of the tests. */

import { expect, it } from 'vitest'
import { measureNewcomers, median } from './newcomers.ts'

const PLAN = { nodes: 12, newcomers: 3, wanted: 6, killed: 4, stopped: 2, atOnce: 2, dht: 'full' as const }

it('a newcomer among 12 nodes finds 6 in 2 s, in 3 s with 6 dead, and the dead are listed for less than a minute', {
  timeout: 400_000,
}, async () => {
  const { whole, reduced, goneMs } = await measureNewcomers(PLAN, (line) => console.info(line))
  expect(median(whole.found)).toBeLessThan(2_000)
  expect(median(reduced.found)).toBeLessThan(3_000)
  expect(goneMs).toBeLessThan(60_000)
})
