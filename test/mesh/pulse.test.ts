import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Pulse } from '../../node/mesh/pulse.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Moments of the beats, by the fake clock. */
function beats(answer: () => unknown, longestMs?: number) {
  const at: number[] = []
  const pulse = new Pulse(
    1_000,
    () => {
      at.push(performance.now())
      return answer()
    },
    longestMs,
  )
  pulse.start()
  return { pulse, at }
}

const gaps = (at: number[]) => at.slice(1).map((time, i) => time - (at[i] ?? 0))

it('waits twice as long after each beat without anything to do, up to the longest', async () => {
  const { pulse, at } = beats(async () => 'idle', 8_000)
  await vi.advanceTimersByTimeAsync(60_000)
  pulse.stop()
  const [first = 0, second = 0, third = 0, ...later] = gaps(at)
  for (const [gap, expected] of [
    [first, 2_000],
    [second, 4_000],
    [third, 8_000],
  ] as const) {
    expect(gap / expected).toBeGreaterThan(0.79)
    expect(gap / expected).toBeLessThan(1.21)
  }
  expect(Math.max(...later)).toBeLessThan(8_000 * 1.21)
})

it('is eager again when it is hurried, and when a beat had something to do', async () => {
  let idle = true
  const { pulse, at } = beats(async () => (idle ? 'idle' : undefined), 64_000)
  await vi.advanceTimersByTimeAsync(60_000)
  idle = false
  pulse.hurry(0)
  at.length = 0
  await vi.advanceTimersByTimeAsync(10_000)
  pulse.stop()
  expect(at.length).toBeGreaterThanOrEqual(8)
  expect(Math.max(...gaps(at))).toBeLessThan(1_210)
})

it('keeps its period where no longer one is given', async () => {
  const { pulse, at } = beats(() => 'idle')
  await vi.advanceTimersByTimeAsync(20_000)
  pulse.stop()
  expect(Math.max(...gaps(at))).toBeLessThan(1_210)
})
