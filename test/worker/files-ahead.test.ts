/** Files of units of one job on a worker: which are fetched, when they are let go of, and what happens without room. */

import { expect, it } from 'vitest'
import { FilesAhead } from '../../node/worker/files-ahead.ts'
import type { HeldFiles } from '../../node/worker/point-files.ts'
import { TreeLayout } from '../../protocol/data/layout.ts'
import { TalkootError } from '../../protocol/errors.ts'

const AHEAD = 3
const layout = new TreeLayout({ v: 1, files: [] })
const units = (...numbers: number[]) => numbers.map((unit) => ({ unit, params: '{}' }))
const running = (...numbers: number[]) => new Map(numbers.map((unit) => [unit, null]))

function stage() {
  const coming = new Map<number, PromiseWithResolvers<HeldFiles | null>>()
  const asked: number[] = []
  const aborted: number[] = []
  const released: number[] = []
  const failed: [unit: number, code: string][] = []
  let ready = 0
  const ahead = new FilesAhead(
    {
      files: {
        hold: ({ unit }, signal) => {
          asked.push(unit)
          signal.addEventListener('abort', () => aborted.push(unit))
          const one = Promise.withResolvers<HeldFiles | null>()
          coming.set(unit, one)
          return one.promise
        },
        release: () => released.push(-1),
      },
      onReady: () => {
        ready += 1
      },
      onFailed: (unit, { code }) => failed.push([unit, code]),
    },
    { units: AHEAD },
  )
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return {
    ...{ ahead, asked, aborted, released, failed },
    ready: () => ready,
    async arrive(unit: number): Promise<void> {
      coming.get(unit)?.resolve({ folder: `/${unit}`, layout, release: () => released.push(unit) })
      await settled()
    },
    async fail(unit: number, code: ConstructorParameters<typeof TalkootError>[0]): Promise<void> {
      coming.get(unit)?.reject(new TalkootError(code, 'no'))
      await settled()
    },
  }
}

it('fetches for the first that wait, and for the next when one of them runs', async () => {
  const { ahead, asked, ready, released, arrive } = stage()
  ahead.update(units(0, 1, 2, 3, 4), running())
  expect([asked, ahead.ready(units(0, 1, 2, 3, 4))]).toEqual([[0, 1, 2], 0])
  await arrive(1)
  expect([ready(), ahead.isReady(0), ahead.isReady(1), ahead.of(1)?.folder]).toEqual([1, false, true, '/1'])
  ahead.update(units(0, 2, 3, 4), running(1))
  expect([asked, released]).toEqual([[0, 1, 2, 3], []])
  ahead.update(units(0, 2, 3, 4), running())
  expect(released).toEqual([1])
})

it('lets go of what is called off, also while it comes, and of everything at the end', async () => {
  const { ahead, aborted, released, arrive, ready } = stage()
  ahead.update(units(0, 1, 2), running())
  await arrive(0)
  ahead.update(units(2), running())
  expect([aborted, released]).toEqual([[0, 1], [0]])
  await arrive(1)
  expect([released, ready()]).toEqual([[0, 1], 1])
  ahead.close()
  ahead.update(units(5), running())
  expect([aborted, released]).toEqual([
    [0, 1, 2],
    [0, 1, -1],
  ])
})

it('without room waits for another unit to end, and is given back where none is there', async () => {
  const { ahead, asked, failed, arrive, fail } = stage()
  ahead.update(units(0, 1), running())
  await arrive(0)
  await fail(1, 'E_DISK_TAKEN')
  expect([asked, failed]).toEqual([[0, 1], []])
  ahead.update(units(1), running())
  expect(asked).toEqual([0, 1, 1])
  await fail(1, 'E_DISK_TAKEN')
  expect(failed).toEqual([[1, 'E_DISK_TAKEN']])
})

it('tells at once what no wait would mend', async () => {
  const { ahead, failed, arrive, fail } = stage()
  ahead.update(units(0, 1, 2), running())
  await arrive(0)
  await fail(1, 'E_TREE_SOURCE')
  await fail(2, 'E_INPUT')
  expect(failed).toEqual([
    [1, 'E_TREE_SOURCE'],
    [2, 'E_INPUT'],
  ])
})
