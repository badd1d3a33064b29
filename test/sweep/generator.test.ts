import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalBytes, decodeCanonical, type Json } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type CompiledSweep, compileSweep } from '../../protocol/sweep/generator.ts'
import { type Axes, type Axis, type Sweep, sweepSchema } from '../../protocol/sweep/schema.ts'
import { naivePoints } from './naive.ts'

const listOf = (...values: Json[]): Axis => ({ kind: 'list', values })
const range = (to: number): Axis => ({ kind: 'range', from: 0, to, step: 1 })
const all = (sweep: CompiledSweep): Record<string, Json>[] =>
  Array.from({ length: sweep.size }, (_, i) => sweep.point(i))

const values = fc.array(fc.constantFrom<Json>(0, 1, 2, 'a', true, null, [1]), { minLength: 1, maxLength: 4 })
const axesNamed = (names: string[]): fc.Arbitrary<Axes<Axis>> =>
  fc.tuple(...names.map((name) => values.map((list): [string, Axis] => [name, listOf(...list)])))
const zipped = (names: string[]): fc.Arbitrary<Axes<Axis>> =>
  fc
    .array(fc.tuple(...names.map(() => fc.integer({ min: 0, max: 2 }))), { minLength: 1, maxLength: 5 })
    .map((rows) => names.map((name, i): [string, Axis] => [name, listOf(...rows.map((row) => row[i] ?? 0))]))
const patterns = fc.array(
  fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom<Json>(0, 1, 2, 'a', null, [1]), { minKeys: 1 }),
  { maxLength: 4 },
)

/** Sweeps with the fields x and y at most, nested a few levels. */
const sweeps: fc.Arbitrary<Sweep> = fc.letrec<{ sweep: Sweep; leaf: Sweep }>((tie) => ({
  leaf: fc.oneof(
    axesNamed(['x', 'y']).map((axes): Sweep => ({ kind: 'product', axes })),
    zipped(['x', 'y']).map((axes): Sweep => ({ kind: 'zip', axes })),
    fc
      .array(
        fc.record({ x: fc.constantFrom<Json>(0, 1, null), y: fc.constantFrom<Json>(0, 'a') }, { requiredKeys: ['x'] }),
        {
          minLength: 1,
          maxLength: 6,
        },
      )
      .map((points): Sweep => ({ kind: 'points', points: points as Record<string, Json>[] })),
    fc.tuple(axesNamed(['x']), axesNamed(['y'])).map(
      ([x, y]): Sweep => ({
        kind: 'cross',
        of: [
          { kind: 'product', axes: x },
          { kind: 'zip', axes: y },
        ],
      }),
    ),
  ),
  sweep: fc.oneof(
    { maxDepth: 3 },
    tie('leaf'),
    fc.tuple(tie('sweep'), patterns).map(([of, points]): Sweep => ({ kind: 'exclude', of, points })),
    fc
      .tuple(tie('sweep'), fc.nat(4), fc.integer({ min: 1, max: 12 }))
      .map(([of, from, length]): Sweep => ({ kind: 'slice', of, from, to: from + length })),
  ),
})).sweep

describe('a compiled sweep', () => {
  it('holds the points of the naive list, in order', () => {
    let compared = 0
    fc.assert(
      fc.property(sweeps, (sweep) => {
        const expected = naivePoints(sweep)
        let compiled: CompiledSweep
        try {
          compiled = compileSweep(sweepSchema.parse(sweep))
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_SWEEP_INVALID' })
          return
        }
        compared += 1
        expect(all(compiled)).toEqual(expected)
      }),
      { numRuns: 2_000 },
    )
    expect(compared).toBeGreaterThan(500)
  })

  it('is the product as nested loops, the last axis fastest', () => {
    const points = all(
      compileSweep({
        kind: 'product',
        axes: [
          ['b', range(3)],
          ['a', listOf('x', 'y')],
        ],
      }),
    )
    const expected: unknown[] = []
    for (const b of [0, 1, 2]) for (const a of ['x', 'y']) expected.push({ b, a })
    expect(points).toEqual(expected)
  })

  it('keeps its order through canonical bytes', () => {
    const sweep: Sweep = {
      kind: 'product',
      axes: [
        ['long', range(2)],
        ['b', range(2)],
        ['a', range(2)],
      ],
    }
    const decoded = sweepSchema.parse(decodeCanonical(canonicalBytes(sweep)))
    expect(all(compileSweep(decoded))).toEqual(all(compileSweep(sweep)))
  })

  it('of 3,000,000 points compiles in milliseconds and finds any of them', () => {
    const sweep: Sweep = {
      kind: 'exclude',
      of: {
        kind: 'product',
        axes: [
          ['a', range(1_000)],
          ['b', range(300)],
          ['c', range(10)],
        ],
      },
      points: [
        { a: 7, b: 9 },
        { c: 3, b: 1 },
      ],
    }
    const before = process.cpuUsage()
    const compiled = compileSweep(sweep)
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1_000).toBeLessThan(200)
    expect(compiled.size).toBe(3_000_000 - 10 - 1_000)
    expect(compiled.point(compiled.size - 1)).toEqual({ a: 999, b: 299, c: 9 })
    expect(compiled.point(13)).toEqual({ a: 0, b: 1, c: 4 })
  })

  it('refuses indices outside', () => {
    const compiled = compileSweep({ kind: 'product', axes: [['a', range(3)]] })
    for (const index of [-1, 3, 0.5, Number.NaN]) expect(() => compiled.point(index)).toThrow(RangeError)
  })

  it('keeps a parameter named __proto__ a parameter', () => {
    const compiled = compileSweep({ kind: 'product', axes: [['__proto__', listOf({ polluted: true })]] })
    expect(Object.entries(compiled.point(0))).toEqual([['__proto__', { polluted: true }]])
  })
})

describe('a sweep is refused, by code and path,', () => {
  const product = (...axes: Axes<Axis>): Sweep => ({ kind: 'product', axes })
  const nested = (depth: number): Sweep =>
    depth === 1 ? product(['a', range(2)]) : { kind: 'slice', of: nested(depth - 1), from: 0, to: 2 }
  const wide = (axes: number): Sweep =>
    product(...Array.from({ length: axes }, (_, i): [string, Axis] => [`a${i}`, range(1)]))
  const big = product(['a', range(10_000)], ['b', range(LIMITS.SWEEP_UNITS_MAX / 10_000)])
  const million = product(['a', range(1_000)], ['b', range(1_001)])

  const cases: [string, Sweep, string, string][] = [
    ['empty range', product(['a', range(0)]), 'E_SWEEP_INVALID', 'sweep.axes.a'],
    ['zero step', product(['a', { kind: 'range', from: 0, to: 1, step: 0 }]), 'E_SWEEP_INVALID', 'sweep.axes.a.step'],
    [
      'step away from the end',
      product(['a', { kind: 'range', from: 0, to: 1, step: -1 }]),
      'E_SWEEP_INVALID',
      'sweep.axes.a',
    ],
    [
      'endless range',
      product(['a', { kind: 'range', from: -1e308, to: 1e308, step: 1 }]),
      'E_SWEEP_TOO_BIG',
      'sweep.axes.a',
    ],
    [
      'range of tiny steps',
      product(['a', { kind: 'range', from: 0, to: 1e300, step: 1e-300 }]),
      'E_SWEEP_TOO_BIG',
      'sweep.axes.a',
    ],
    [
      'logspace across zero',
      product(['a', { kind: 'logspace', from: -1, to: 1, count: 3 }]),
      'E_SWEEP_INVALID',
      'sweep.axes.a',
    ],
    ['same axis twice', product(['a', range(1)], ['a', range(1)]), 'E_SWEEP_INVALID', 'sweep.axes.a'],
    ['same axis in two sweeps', { kind: 'cross', of: [nested(1), nested(1)] }, 'E_SWEEP_INVALID', 'sweep.a'],
    [
      'zip of two lengths',
      {
        kind: 'zip',
        axes: [
          ['a', range(2)],
          ['b', range(3)],
        ],
      },
      'E_SWEEP_INVALID',
      'sweep.axes.b',
    ],
    ['units', { kind: 'cross', of: [big, product(['c', range(2)])] }, 'E_SWEEP_TOO_BIG', 'sweep'],
    [
      'units of one axis',
      { kind: 'zip', axes: [['a', range(LIMITS.SWEEP_UNITS_MAX + 1)]] },
      'E_SWEEP_TOO_BIG',
      'sweep',
    ],
    ['depth', nested(LIMITS.SWEEP_DEPTH_MAX + 1), 'E_SWEEP_TOO_BIG', `sweep${'.of'.repeat(LIMITS.SWEEP_DEPTH_MAX)}`],
    [
      'axes',
      { kind: 'cross', of: [wide(LIMITS.SWEEP_AXES_MAX), product(['x', range(1)])] },
      'E_SWEEP_TOO_BIG',
      'sweep',
    ],
    [
      'exclusions',
      { kind: 'exclude', of: { kind: 'cross', of: [million, product(['c', range(2)])] }, points: [{ c: 0 }] },
      'E_SWEEP_TOO_BIG',
      'sweep.of',
    ],
    [
      'random points to look through',
      {
        kind: 'exclude',
        of: {
          kind: 'random',
          axes: [['a', { kind: 'integer', from: 0, to: 9 }]],
          count: LIMITS.SWEEP_EXCLUDED_MAX + 1,
          seed: 1,
        },
        points: [{ a: 0 }],
      },
      'E_SWEEP_TOO_BIG',
      'sweep.of',
    ],
    [
      'everything excluded',
      { kind: 'exclude', of: nested(1), points: [{ a: 0 }, { a: 1 }] },
      'E_SWEEP_INVALID',
      'sweep',
    ],
    [
      'exclusion of nothing named',
      { kind: 'exclude', of: nested(1), points: [{}] },
      'E_SWEEP_INVALID',
      'sweep.points.0',
    ],
    [
      'exclusion by an unknown field',
      { kind: 'exclude', of: nested(1), points: [{ a: 0, z: 1 }] },
      'E_SWEEP_INVALID',
      'sweep.points.0.z',
    ],
    ['slice past the end', { kind: 'slice', of: nested(1), from: 2, to: 9 }, 'E_SWEEP_INVALID', 'sweep'],
    [
      'falling draw',
      { kind: 'random', axes: [['a', { kind: 'uniform', from: 1, to: 1 }]], count: 1, seed: 1 },
      'E_SWEEP_INVALID',
      'sweep.axes.a',
    ],
    [
      'loguniform from zero',
      { kind: 'latin', axes: [['a', { kind: 'loguniform', from: 0, to: 1 }]], count: 1, seed: 1 },
      'E_SWEEP_INVALID',
      'sweep.axes.a',
    ],
    [
      'integers too many',
      { kind: 'random', axes: [['a', { kind: 'integer', from: -(2 ** 53 - 1), to: 2 ** 53 - 1 }]], count: 1, seed: 1 },
      'E_SWEEP_INVALID',
      'sweep.axes.a',
    ],
  ]
  it.each(cases)('%s', (_, sweep, code, path) => {
    expect(refusal(() => compileSweep(sweepSchema.parse(sweep)))).toMatchObject({ code, meta: { path } })
  })

  it('by its schema when it is nested without end', () => {
    let deep: unknown = 0
    for (let i = 0; i < 200_000; i += 1) deep = i % 2 ? [deep] : { kind: 'slice', of: deep, from: 0, to: 1 }
    expect(sweepSchema.safeParse(deep).success).toBe(false)
    expect(sweepSchema.safeParse({ kind: 'points', points: [{ a: deep }] }).success).toBe(false)
  })

  it.each<[string, (length: number) => Sweep]>([
    ['a list', (length) => product(['a', listOf('x'.repeat(length))])],
    [
      'axes together',
      (length) => product(['a', listOf('x'.repeat(length / 2))], ['b', listOf('é'.repeat(length / 4))]),
    ],
    ['points', (length) => ({ kind: 'points', points: [{ a: 'x'.repeat(length) }] })],
    [
      'choices',
      (length) => ({
        kind: 'random',
        axes: [['a', { kind: 'choice', values: ['x'.repeat(length)] }]],
        count: 1,
        seed: 0,
      }),
    ],
  ])('when points of %s would be too long', (_, sweep) => {
    expect(compileSweep(sweep(LIMITS.PARAMS_MAX_BYTES - 100)).size).toBe(1)
    expect(refusal(() => compileSweep(sweep(LIMITS.PARAMS_MAX_BYTES)))).toMatchObject({ code: 'E_SWEEP_TOO_BIG' })
  })

  it('but not at the limits', () => {
    expect(compileSweep(big).size).toBe(LIMITS.SWEEP_UNITS_MAX)
    expect(compileSweep(nested(LIMITS.SWEEP_DEPTH_MAX)).size).toBe(2)
    expect(compileSweep(wide(LIMITS.SWEEP_AXES_MAX)).size).toBe(1)
    const exact: Sweep = {
      kind: 'exclude',
      of: { kind: 'cross', of: [product(['a', range(1_000)], ['b', range(1_000)]), product(['c', range(2)])] },
      points: [{ c: 1 }],
    }
    expect(compileSweep(exact).size).toBe(LIMITS.SWEEP_EXCLUDED_MAX)
    expect(compileSweep(exact).point(999_999)).toEqual({ a: 999, b: 999, c: 0 })
  })
})

function refusal(act: () => unknown): TalkootError {
  try {
    act()
  } catch (error) {
    if (error instanceof TalkootError) return error
    throw error
  }
  throw new Error('it was not refused')
}
