/** The gate of the benchmarks: a planted regression fails it, noise and other machines do not. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Benchmark, medianOf } from '../../bench/benchmark.ts'
import { type Baseline, baselineSchema, type Figure, judge, keyOf, ratioOf, renewed } from '../../bench/gate.ts'
import { tableOf } from '../../bench/report.ts'
import { runBenchmark } from '../../bench/run.ts'
import { SUITE } from '../../bench/suite.ts'

const rate = { unit: '/s', better: 'more', per: 'cpu', must: 20_000, tolerance: 0.25 } as const
const time = { unit: 'ms', better: 'less', per: 'cpu', must: 300, tolerance: 0.25 } as const

const figure = (init: Partial<Figure>): Figure => {
  const whole = { benchmark: 'b', name: 'f', value: 30_000, ratio: 1, ...rate, ...init }
  return { ...whole, ratio: ratioOf(whole.value, whole, 30_000) }
}
const baseline = (ratios: Record<string, number>): Baseline => ({ schema: 'talkoot.bench/1', machine: 'm', ratios })
const verdictOf = (init: Partial<Figure>, before: number) => judge([figure(init)], baseline({ 'b: f': before }))[0]

describe('the gate', () => {
  it.each([
    ['a rate as before', { value: 30_000 }, 1, 'level'],
    ['a rate a little lower', { value: 24_500 }, 1, 'level'],
    ['a rate a quarter lower and more', { value: 23_500 }, 1, 'regressed'],
    ['a rate that fell to a tenth', { value: 3_000 }, 1, 'regressed'],
    ['a rate that could not be measured', { value: Number.NaN }, 1, 'regressed'],
    ['a rate a third higher', { value: 40_000 }, 1, 'improved'],
    ['a time as before', { ...time, value: 100 }, 3_000, 'level'],
    ['a time a fifth longer', { ...time, value: 120 }, 3_000, 'level'],
    ['a time a third longer', { ...time, value: 133 }, 3_000, 'regressed'],
    ['a time half as long', { ...time, value: 50 }, 3_000, 'improved'],
    ['a ratio lower than its tolerance', { unit: '%', per: null, tolerance: 0.05, value: 90 }, 96, 'regressed'],
  ] as const)('calls %s by its name', (_, init, before, verdict) => {
    expect(verdictOf(init, before)?.verdict).toBe(verdict)
  })

  it('calls the same work on a machine half as fast level', () => {
    const [before, after] = [ratioOf(30_000, rate, 1e6), ratioOf(15_000, rate, 0.5e6)]
    expect(after).toBe(before)
    expect(ratioOf(200, time, 0.5e6)).toBe(ratioOf(100, time, 1e6))
  })

  it('says which numbers of the design are reached, and does not fail on what the baseline does not know', () => {
    const verdicts = judge([figure({ value: 19_999 }), figure({ name: 'g', value: 20_000 })], baseline({}))
    expect(verdicts.map(({ verdict, reached }) => [verdict, reached])).toEqual([
      ['new', false],
      ['new', true],
    ])
  })

  it('keeps what was not measured when it is renewed', () => {
    const next = renewed(baseline({ 'a: x': 2, 'b: f': 5 }), [figure({ value: 60_000 })], 'another')
    expect(next).toEqual({ ...baseline({ 'a: x': 2, 'b: f': 2 }), machine: 'another' })
  })
})

/** A benchmark of nothing, as fast as it is told. */
const planted = (rates: number[]): Benchmark => ({
  name: 'planted',
  about: '',
  figures: { f: { ...rate, per: null } },
  rounds: { full: 3, quick: 1 },
  open: async () => ({
    round: async () => ({ f: rates.shift() ?? 0 }),
    [Symbol.asyncDispose]: async () => undefined,
  }),
})

it('takes the median of the rounds: one bad round is no regression, a slower program is', async () => {
  const before = baseline({ 'planted: f': 30_000 })
  const noisy = await runBenchmark(planted([31_000, 4_000, 29_000]), { quick: false })
  const slower = await runBenchmark(planted([16_000, 15_000, 29_000]), { quick: false })
  expect(judge(noisy, before)[0]?.verdict).toBe('level')
  expect(judge(slower, before)[0]?.verdict).toBe('regressed')
  expect(tableOf(judge(slower, before), false)).toMatch(/planted +f +16,000\/s +✖ ≥ 20,000\/s .* 0\.53x +✖ regressed/)
  expect(medianOf([4, 1, 3, 2])).toBe(2.5)
})

it('has a baseline for every figure of the suite, and for nothing else', () => {
  const file = new URL('../../bench/baseline.json', import.meta.url)
  const { ratios } = baselineSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  const figures = SUITE.flatMap(({ name, figures }) =>
    Object.keys(figures).map((figure) => keyOf({ benchmark: name, name: figure })),
  )
  expect(Object.keys(ratios).sort()).toEqual(figures.sort())
})
