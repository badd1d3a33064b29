/** Failed units once more: as a job of their own, under the numbers they have. */

import { expect, it } from 'vitest'
import { retryRequestSchema } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import type { Attempt } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { scripted } from './scripted-worker.ts'

const FAILS = 'exports.default = ({ n }, { unit }) => { if (n % 10 === 3) throw new Error("three"); return unit }'
const MENDED = 'exports.default = ({ n }, { unit }) => [n, unit]'

it('runs the units that failed and no others, with the task that was mended and all else as it was', async () => {
  await using lab = await Laboratory.open({ slots: 2 })
  const { id } = await lab.submit(30, { source: FAILS, retries: 0, priority: 2 })
  expect(await lab.ended(id)).toMatchObject({ accepted: 27, failed: 3 })
  const { task, policy } = lab.describe(1, { source: MENDED })
  const retry = (of: string, more: object = {}) =>
    lab.jobs.retry(of, retryRequestSchema.parse({ task, ...more }), { queue: true })

  const again = await retry(id)
  expect(await lab.ended(again.id)).toMatchObject({ units: 3, accepted: 3, executions: 3, retryOf: id, after: [] })
  expect(lab.jobs.info(again.id).policy).toMatchObject({ retries: 0, priority: 2, memoryMiB: 64 })
  const queries: Record<string, string>[] = [{}, { order: 'input' }, { order: 'input', follow: 'true' }]
  for (const query of queries) {
    const rows = (await lab.rows(again.id, query)).sort((a, b) => a.unit - b.unit)
    expect(rows.map(({ unit, params }) => [unit, params.n])).toEqual([3, 13, 23].map((n) => [n, n]))
    expect(rows.map((row) => row.status === 'accepted' && row.value)).toEqual([3, 13, 23].map((n) => [n, n]))
  }
  expect(() => lab.jobs.logs(again.id, 4)).toThrow(/there is no unit 4: the job has 3 of the units 0 to 29/)
  expect(() => lab.jobs.explain.unit(again.id, 4)).toThrow(/there is no unit 4/)
  expect(lab.jobs.explain.unit(again.id, 13)).toMatchObject({ state: 'decided', params: { n: 13 } })

  // A retry of the same task fails again, and can itself be retried.
  const { id: same } = await lab.jobs.retry(id, retryRequestSchema.parse({ policy }), { queue: true })
  expect(await lab.ended(same)).toMatchObject({ failed: 3, policy: { priority: 0 } })
  expect(await lab.ended((await retry(same)).id)).toMatchObject({ accepted: 3, retryOf: same })
  const nothing = await retry(again.id).catch((error: unknown) => TalkootError.from(error).code)
  expect(nothing).toBe('E_JOB_INVALID')
})

it('goes on after a restart with what is left of it', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const peer = await newSigner()
  const given: number[] = []
  let mended = false
  lab.mesh.enter(
    peer.peer,
    scripted(peer, {
      onRun: async (act, run) => {
        given.push(...run.units.map(([unit]) => unit))
        const ends = run.units.flatMap(([unit]): Attempt[] => {
          if (unit < 10 || (mended && unit !== 19)) return [{ unit, ok: true, value: '1' }]
          return mended ? [] : [{ unit, ok: false, code: 'E_TASK_THREW', message: '', blame: 'program' }]
        })
        if (ends.length > 0) await act.tell(run.job, ends)
      },
    }),
  )
  const { id } = await lab.submit(20, { retries: 0 })
  expect(await lab.ended(id)).toMatchObject({ accepted: 10, failed: 10 })
  mended = true
  const { id: again } = await lab.jobs.retry(id, retryRequestSchema.parse({}), { queue: true })
  given.length = 0
  await until(() => lab.jobs.info(again).accepted === 9)
  await lab.restart()
  await until(() => given.filter((unit) => unit === 19).length === 2)
  expect(given.filter((unit) => unit !== 19).sort()).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18])
  expect(lab.jobs.info(again)).toMatchObject({ state: 'running', units: 10, accepted: 9 })
})
