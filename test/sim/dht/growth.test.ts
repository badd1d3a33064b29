/** What finding each other costs grows no faster than the logarithm of the mesh's size. docs/scale.md has the figures to 10,000 peers. */

import { expect, test } from 'vitest'
import { LIMITS } from '../../../protocol/limits.ts'
import { experiment, type Figures } from './experiment.ts'
import { bend, growthOf } from './growth.ts'
import { picture } from './plots.ts'

const SIZES = [100, 300, 1_000]
/** Chance moves a mean by so much. */
const SLACK = 1.35
/** A median time moves by a whole hop at once: of few hops, by this. */
const TIME_SLACK = 1.9

const rows = SIZES.map((peers) => experiment({ seed: 1, peers }))

test.each([
  'joinMs',
  'joinMessages',
  'lookupMs',
  'lookupMessages',
  'placementFirstMs',
  'placementMs',
  'messagesPerMinute',
  'hottestPerMinute',
  'tableSize',
] satisfies (keyof Figures)[])('%s', (key) => {
  const points = rows.map((row) => [row.peers, row[key]] as const)
  const over = points.map(([, value]) => value)
  expect(bend(points), over.map(Math.round).join(', ')).toBeLessThan(key.endsWith('Ms') ? TIME_SLACK : SLACK)
})

test('a newcomer finds 20 peers within two seconds, no key is held for many more than a shard, few found are gone', () => {
  for (const { joinMs, lookupMs, placementMs, recordsOfKey, deadShare } of rows) {
    expect(lookupMs).toBeLessThan(300)
    expect(joinMs).toBeLessThan(2_000)
    expect(placementMs).toBeLessThan(3_000)
    expect(recordsOfKey).toBeLessThan(400)
    expect(deadShare).toBeLessThan(0.5)
  }
})

test('no node is kept so busy that it could not serve: under 200 messages a second', () => {
  for (const { hottestPerMinute } of rows) expect(hottestPerMinute).toBeLessThan(200 * 60)
  expect(LIMITS.CONNECTIONS_IDLE_MAX).toBeLessThan(LIMITS.CONNECTIONS_MAX)
})

test('the same seed gives the same figures', () => {
  const run = () => experiment({ seed: 3, peers: 50, joins: 5, lookups: 20, windowMs: 5_000 })
  expect(run()).toEqual(run())
})

test("the library's own table is found out: it holds everyone", () => {
  const sizes = [100, 300].map((peers) => {
    const { tableSize } = experiment({ seed: 1, peers, rule: 'trie', joins: 1, lookups: 1, windowMs: 1_000 })
    return [peers, tableSize] as const
  })
  expect((sizes[1]?.[1] ?? 0) / (sizes[0]?.[1] ?? 1)).toBeGreaterThan(2.5)
  const [small, large] = rows.map(({ tableSize }) => tableSize)
  expect((large ?? 0) / (small ?? 1)).toBeLessThan(1.6)
})

test('laws are told apart, and drawn', () => {
  const sizes = [30, 100, 300, 1_000]
  const log = sizes.map((peers) => [peers, 5 + 3 * Math.log2(peers)] as const)
  const linear = sizes.map((peers) => [peers, 2 * peers] as const)
  expect(growthOf(log).log).toMatchObject({ a: expect.closeTo(5), b: expect.closeTo(3), r2: expect.closeTo(1) })
  expect(growthOf(linear).power).toMatchObject({ c: expect.closeTo(2), p: expect.closeTo(1), r2: expect.closeTo(1) })
  expect(bend(log)).toBeCloseTo(1)
  expect(bend(linear)).toBeGreaterThan(SLACK)
  const svg = picture('test', [{ title: 'a figure', unit: 'ms', points: log }])
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  expect(svg).not.toMatch(/NaN|undefined/)
})
