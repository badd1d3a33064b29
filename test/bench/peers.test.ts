/** The page and the plot of the comparison, from a report that is written by hand. */

import { expect, it } from 'vitest'
import { plotOf } from '../../bench/peers/plot.ts'
import { efficiencyOf, lead, type Measured, type PeersReport, pageOf } from '../../bench/peers/results.ts'

const rate = (median: number) => ({ median, all: [median] })
const engine = (name: string, perSecond: Measured['perSecond']): Measured => ({ name, version: '1.2', perSecond })

const report: PeersReport = {
  schema: 'talkoot.bench-peers/1',
  machine: '2 cores of <this>',
  system: 'a system',
  node: '24',
  rounds: 3,
  bareSpawnsPerSecond: 500,
  engines: [
    engine('talkoot', { 'no-op': rate(30_000), '10 ms': rate(190), '50 ms': rate(39) }),
    engine('Dask', {
      'no-op': rate(500),
      '10 ms': rate(150),
      process: rate(200),
      'no-op, batched by hand': rate(90_000),
    }),
    engine('Ray, actors', { 'no-op': rate(3_000) }),
    engine('HyperQueue', { 'no-op': rate(40_000), process: rate(400) }),
  ],
  missing: [{ name: 'Celery', why: 'redis-server is not on the path' }],
}

it('names the best of those the claim is about, by how much it is led, and who was not there', () => {
  expect(lead(report)).toMatchObject({ rival: { name: 'Ray, actors' }, ratio: 10 })
  const page = pageOf(report)
  expect(page).toContain('| talkoot | 1.2 | 30,000 | 1.0x | 95.0% | 97.5% | n/a | n/a |')
  expect(page).toContain('| Dask | 1.2 | 500 | 60.0x | 75.0% | n/a | 200 | 90,000 |')
  // Whoever is faster is shown to be.
  expect(page).toContain('| HyperQueue | 1.2 | 40,000 | 0.8x |')
  expect(page).toContain('Ray, actors; talkoot does 10.0 times as many')
  expect(page).toContain('Not measured: Celery: redis-server is not on the path.')
  expect(lead({ ...report, engines: report.engines.slice(0, 1) })).toBeNull()
})

it('counts efficiency over two slots', () => {
  expect(efficiencyOf(engine('x', { '50 ms': rate(40) }), '50 ms')).toBe(1)
  expect(efficiencyOf(engine('x', {}), '50 ms')).toBeNull()
})

it('draws a bar for each engine, longest first, ten times as many units one decade to the right', () => {
  const plot = plotOf(report)
  expect(plot).toMatch(/^<svg [\s\S]*<\/svg>\s*$/)
  expect(plot).toContain('2 cores of &#60;this&#62;')
  expect(plot).not.toMatch(/NaN|Infinity|undefined/)
  const bars = [...plot.matchAll(/<rect x="150" y="\d+" width="([\d.]+)" height="20"/g)].map(([, width]) =>
    Number(width),
  )
  expect(bars).toHaveLength(4)
  expect(bars).toEqual(bars.toSorted((a, b) => b - a))
  const decade = (bars[1] ?? 0) - (bars[2] ?? 0)
  expect(decade).toBeCloseTo((560 - 150) / 4, 1)
})
