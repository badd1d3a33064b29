import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSweep } from '../../protocol/sweep/generator.ts'
import { permutation } from '../../protocol/sweep/permutation.ts'
import { philox4x32 } from '../../protocol/sweep/philox.ts'
import type { Axes, Draw, Sweep } from '../../protocol/sweep/schema.ts'

const points = (sweep: Sweep): Record<string, unknown>[] => {
  const { size, point } = compileSweep(sweep)
  return Array.from({ length: size }, (_, i) => point(i))
}
const draws: Axes<Draw> = [
  ['u', { kind: 'uniform', from: -1, to: 1 }],
  ['l', { kind: 'loguniform', from: 0.01, to: 100 }],
  ['i', { kind: 'integer', from: 3, to: 7 }],
  ['c', { kind: 'choice', values: ['a', 'b'] }],
]

describe('philox4x32-10', () => {
  it('gives the known answers of Random123', () => {
    expect(philox4x32([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
    const ones = 0xffffffff
    expect(philox4x32([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
    expect(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
      0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
    ])
  })
})

describe('a permutation', () => {
  it('of any size takes every value once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.nat(), (size, seed) => {
        const of = permutation(size, (value, round) => philox4x32([value, round, 0, 0], [seed, 0])[0])
        const seen = new Set(Array.from({ length: size }, (_, i) => of(i)))
        expect(seen.size).toBe(size)
        expect(Math.max(...seen)).toBe(size - 1)
      }),
      { numRuns: 50 },
    )
  })
})

describe.each(['random', 'latin'] as const)('a %s sweep', (kind) => {
  const sweep = (seed: number, count = 500): Sweep => ({ kind, axes: draws, count, seed })

  it('is the same for the same seed and another for another', () => {
    expect(points(sweep(1))).toEqual(points(sweep(1)))
    expect(points(sweep(1))).not.toEqual(points(sweep(2)))
  })

  it('stays within its bounds and fills them', () => {
    const drawn = points(sweep(3, 2_000))
    for (const { u, l } of drawn) {
      expect(Math.abs(Number(u))).toBeLessThanOrEqual(1)
      expect(Number(l)).toBeGreaterThanOrEqual(0.01)
      expect(Number(l)).toBeLessThanOrEqual(100)
    }
    expect(new Set(drawn.map(({ i }) => i))).toEqual(new Set([3, 4, 5, 6, 7]))
    const share = (wanted: (point: Record<string, unknown>) => boolean): number =>
      drawn.filter(wanted).length / drawn.length
    expect(share(({ u }) => Number(u) < 0)).toBeCloseTo(0.5, 1)
    expect(share(({ l }) => Number(l) < 1)).toBeCloseTo(0.5, 1)
    expect(share(({ c }) => c === 'a')).toBeCloseTo(0.5, 1)
    expect(share(({ u, c }) => Number(u) < 0 && c === 'a')).toBeCloseTo(0.25, 1)
  })

  it('draws an axis the same whatever the others are', () => {
    const alone = points({ kind, axes: draws.slice(0, 1), count: 500, seed: 1 })
    expect(points(sweep(1)).map(({ u }) => u)).toEqual(alone.map(({ u }) => u))
  })

  it('loses excluded points', () => {
    const kept = points({ kind: 'exclude', of: sweep(1), points: [{ i: 4, c: 'a' }] })
    expect(kept).toEqual(points(sweep(1)).filter(({ i, c }) => !(i === 4 && c === 'a')))
  })
})

describe('a latin sweep', () => {
  it('draws each stratum of each axis once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 0, max: 0xffffffff }), (count, seed) => {
        const drawn = points({
          ...{ kind: 'latin', count, seed },
          axes: [
            ['x', { kind: 'uniform', from: 0, to: count }],
            ['y', { kind: 'uniform', from: 0, to: count }],
          ],
        })
        for (const axis of ['x', 'y']) {
          expect(new Set(drawn.map((point) => Math.floor(Number(point[axis])))).size).toBe(count)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('of a hundred million points has any point at once', () => {
    const { point } = compileSweep({
      kind: 'latin',
      axes: [['i', { kind: 'integer', from: 0, to: 99_999_999 }]],
      count: 100_000_000,
      seed: 9,
    })
    expect(new Set([0, 1, 99_999_999].map((index) => point(index).i)).size).toBe(3)
  })
})
