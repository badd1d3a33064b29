import { expect, test } from 'vitest'
import { Shape } from '../../node/jobs/scheduler/shape.ts'

const of = (...samples: number[]): Shape => {
  const shape = new Shape()
  for (const sample of samples) shape.add(sample)
  return shape
}

test('of times all alike, what is left is the rest of one; past it, as long again', () => {
  const shape = of(...Array(200).fill(1))
  expect(shape.survival(0.5)).toBeGreaterThan(0.99)
  expect(shape.residual(0.25)).toBeCloseTo(0.75, 2)
  expect(shape.survival(2)).toBeLessThan(0.001)
  expect(shape.residual(2)).toBeCloseTo(2, 5)
})

test('of few long times among many short ones, a unit that is not short is long', () => {
  const shape = of(...Array(90).fill(0.5), ...Array(10).fill(5.5))
  expect(shape.survival(1)).toBeCloseTo(0.1, 1)
  expect(shape.residual(1)).toBeCloseTo(4.5, 0)
  expect(shape.residual(0)).toBeCloseTo(1, 1)
})

test('survival never rises, whatever was seen; nothing seen says nothing up to one mean time', () => {
  for (const shape of [of(), of(3), of(0.1, 1, 7), of(...Array.from({ length: 500 }, (_, i) => (i * 7919) % 13))]) {
    let before = 1
    for (let x = 0; x < 50; x += 0.25) {
      const now = shape.survival(x)
      expect(now).toBeLessThanOrEqual(before + 1e-12)
      expect(now).toBeGreaterThan(0)
      expect(shape.residual(x)).toBeGreaterThanOrEqual(0)
      before = now
    }
  }
  expect(of().survival(1)).toBe(1)
})

test('the last 256 samples count', () => {
  const shape = of(...Array(1_000).fill(9), ...Array(256).fill(1))
  expect(shape.survival(2)).toBeLessThan(0.01)
})
