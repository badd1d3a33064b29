/** Files of units at the worker: kept until they are fetched, or for a while. */

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { KeptFiles } from '../../node/worker/kept-files.ts'
import { LIMITS } from '../../protocol/limits.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('are given up when they were taken, when they were left again, after a while, and at the end', () => {
  const kept = new KeptFiles()
  const released: string[] = []
  const keep = (unit: number, name: string) => kept.keep('job', unit, { cost: 1, release: () => released.push(name) })
  keep(1, 'taken')
  keep(2, 'left before')
  keep(2, 'left again')
  keep(3, 'late')
  kept.keep('job', 4, undefined)
  expect(released).toEqual(['left before'])
  kept.release('job', [1, 4, 5])
  kept.release('other', [3])
  expect(released.splice(0)).toEqual(['left before', 'taken'])
  vi.advanceTimersByTime(LIMITS.UNIT_FILES_KEEP_MS - 1)
  expect(released).toEqual([])
  keep(6, 'at the end')
  vi.advanceTimersByTime(1)
  expect(released.splice(0)).toEqual(['left again', 'late'])
  kept.stop()
  expect(released).toEqual(['at the end'])
  expect(vi.getTimerCount()).toBe(0)
})

it('are given up, the oldest first, beyond so many bytes of one submitter', () => {
  const kept = new KeptFiles()
  const released: number[] = []
  const keep = (unit: number, cost: number) => kept.keep('job', unit, { cost, release: () => released.push(unit) })
  const half = LIMITS.UNIT_FILES_KEPT_MAX_BYTES / 2
  keep(1, half)
  keep(2, half)
  kept.release('job', [1])
  keep(3, half)
  expect(released.splice(0)).toEqual([1])
  keep(2, half)
  expect(released.splice(0)).toEqual([2])
  keep(4, 1)
  expect(released.splice(0)).toEqual([3])
  keep(5, LIMITS.UNIT_FILES_KEPT_MAX_BYTES)
  expect(released.splice(0)).toEqual([2, 4])
  kept.stop()
  expect(released).toEqual([5])
  expect(vi.getTimerCount()).toBe(0)
})
