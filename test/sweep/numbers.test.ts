import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileAxis } from '../../protocol/sweep/axis.ts'
import type { Axis } from '../../protocol/sweep/schema.ts'

const values = (axis: Axis): unknown[] => {
  const { size, at } = compileAxis(axis, 'axis')
  return Array.from({ length: size }, (_, i) => at(i))
}
const range = (from: number, to: number, step: number): Axis => ({ kind: 'range', from, to, step })

describe('range', () => {
  it('holds the decimals one would write', () => {
    expect(values(range(0, 1, 0.1))).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    expect(values(range(1, 0, -0.25))).toEqual([1, 0.75, 0.5, 0.25])
    expect(values(range(1.1, 1.4, 0.1))).toEqual([1.1, 1.2, 1.3])
    expect(values(range(-1e-7, 2e-7, 1e-7))).toEqual([-1e-7, 0, 1e-7])
    expect(values(range(0, 3e21, 1e21))).toEqual([0, 1e21, 2e21])
  })

  it('never reaches its end, and leaves no room for one more step', () => {
    const short = fc.tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: -4, max: 4 }))
    const decimal = short.map(([digits, exponent]) => Number(`${digits}e${exponent}`))
    fc.assert(
      fc.property(decimal, fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 999 }), (from, count, step) => {
        const by = step / 1_000
        const last = from + count * by
        const { size, at } = compileAxis(range(from, last, by), 'axis')
        expect(Number(at(size - 1))).toBeLessThan(last)
        expect(Number(at(size - 1)) + by).toBeGreaterThanOrEqual(last - 1e-9 * Math.abs(last))
      }),
    )
  })

  it('of numbers with too many digits does not accumulate errors', () => {
    const { size, at } = compileAxis(range(0, Math.PI * 1_000, Math.PI / 7), 'axis')
    expect(size).toBe(7_000)
    expect(at(6_999)).toBe(6_999 * (Math.PI / 7))
  })
})

describe('linspace and logspace', () => {
  const ends = fc.tuple(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  )

  it('hold both ends exactly and stay between them', () => {
    fc.assert(
      fc.property(ends, fc.integer({ min: 2, max: 1_000 }), fc.nat(), ([from, to], count, place) => {
        const { size, at } = compileAxis({ kind: 'linspace', from, to, count }, 'axis')
        expect(size).toBe(count)
        expect([at(0), at(count - 1)]).toEqual([from + 0, to + 0])
        const between = Number(at(place % count))
        expect(between).toBeGreaterThanOrEqual(Math.min(from, to))
        expect(between).toBeLessThanOrEqual(Math.max(from, to))
      }),
    )
    const neighbours = { from: -1.7976931348623153e308, to: -1.7976931348623151e308 }
    expect(new Set(values({ kind: 'linspace', ...neighbours, count: 143 }))).toEqual(new Set(Object.values(neighbours)))
    const positive = fc.double({ min: 1e-300, max: 1e300, noNaN: true })
    fc.assert(
      fc.property(positive, positive, fc.boolean(), fc.integer({ min: 2, max: 99 }), (a, b, negative, count) => {
        const [from, to] = negative ? [-a, -b] : [a, b]
        const { at } = compileAxis({ kind: 'logspace', from, to, count }, 'axis')
        expect([at(0), at(count - 1)]).toEqual([from, to])
      }),
    )
  })

  it('hold the numbers one would write', () => {
    expect(values({ kind: 'linspace', from: 0, to: 1, count: 11 })).toEqual(values(range(0, 1.05, 0.1)))
    expect(values({ kind: 'linspace', from: 1.4, to: 2, count: 121 })[7]).toBe(1.435)
    expect(values({ kind: 'linspace', from: 5, to: 9, count: 1 })).toEqual([5])
    expect(values({ kind: 'logspace', from: 0.001, to: 1e6, count: 10 })).toEqual([
      0.001, 0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000,
    ])
    expect(values({ kind: 'logspace', from: -1, to: -100, count: 3 })).toEqual([-1, -10, -100])
  })

  it('have the same bits on every machine', () => {
    // Positions where the built-in functions of one machine or another gave other bits.
    const { at } = compileAxis({ kind: 'logspace', from: 2, to: 3, count: 99 }, 'axis')
    expect([38, 60, 73, 79, 82, 86].map(at)).toEqual([
      2.3405088077169616, 2.5635451489083145, 2.705203964179332, 2.773199496380479, 2.8078355051787858,
      2.854690696954566,
    ])
  })
})

describe('the position of a value', () => {
  const axes = fc.oneof(
    fc
      .tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 60 }), fc.constantFrom(0.1, 0.25, 3))
      .map(([from, count, step]) => range(from, from + count * step, step)),
    fc.integer({ min: 1, max: 60 }).map((count): Axis => ({ kind: 'linspace', from: 3, to: -2, count })),
    fc.integer({ min: 1, max: 60 }).map((count): Axis => ({ kind: 'logspace', from: 1, to: 9, count })),
    fc.array(fc.constantFrom(1, 2, '1', null), { minLength: 1 }).map((list): Axis => ({ kind: 'list', values: list })),
  )

  it('is found wherever it is', () => {
    fc.assert(
      fc.property(axes, fc.nat(), (axis, place) => {
        const { size, at, positionsOf } = compileAxis(axis, 'axis')
        const wanted = at(place % size)
        const expected = Array.from({ length: size }, (_, i) => i).filter((i) => at(i) === wanted)
        expect(positionsOf(wanted)).toEqual(expected)
        expect(positionsOf('absent')).toEqual([])
        expect(positionsOf(1e9)).toEqual([])
      }),
    )
  })
})
