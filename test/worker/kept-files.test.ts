/** Files of units at the worker: kept until they are fetched, or for a while. */

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { KeptFiles } from '../../node/worker/kept-files.ts'
import { LIMITS } from '../../protocol/limits.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('are given up when they were taken, when they were left again, after a while, and at the end', () => {
  const kept = new KeptFiles()
  const released: string[] = []
  const keep = (unit: number, name: string) => kept.keep('job', unit, { release: () => released.push(name) })
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
