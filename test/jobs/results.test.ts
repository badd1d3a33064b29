/** Reading results: order, cursors, following, failures, while they arrive and after. */

import { expect, it } from 'vitest'
import { resultsQuerySchema } from '../../protocol/api.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner } from '../worker/submitter.ts'
import { Laboratory } from './laboratory.ts'
import { type Act, scripted } from './scripted-worker.ts'

/** A worker that answers a unit when the test says so. */
async function obedient(lab: Laboratory) {
  const signer = await newSigner()
  const given = new Set<number>()
  let act: Act | null = null
  let job = ''
  lab.mesh.enter(
    signer.peer,
    scripted(signer, {
      onOpen: (opened) => {
        act = opened
        void beat(opened)
      },
      onRun: (_, run) => {
        job = run.job
        for (const [unit] of run.units) given.add(unit)
      },
    }),
    { ad: { cpus: 64 } },
  )
  return {
    given,
    end: (...units: number[]) =>
      act?.tell(
        job,
        units.map((unit) =>
          unit % 5 === 4
            ? { unit, ok: false, code: 'E_TASK_THREW', message: 'no', blame: 'program' }
            : { unit, ok: true, value: String(unit) },
        ),
      ),
  }
}

async function beat({ say }: Act): Promise<void> {
  const timer = setInterval(
    () => say({ t: 'beat', slots: 64, queued: 0, running: 0 }).catch(() => clearInterval(timer)),
    500,
  )
}

function reading(lab: Laboratory, id: string, query: Record<string, string>) {
  const units: number[] = []
  const stop = new AbortController()
  const done = (async () => {
    for await (const page of lab.jobs.results(id, resultsQuerySchema.parse(query), stop.signal))
      units.push(...page.map(({ unit }) => unit))
  })()
  return { units, done, stop: () => stop.abort() }
}

it('results are read as they arrive, in either order, from any cursor, and to the end', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { given, end } = await obedient(lab)
  const { id } = await lab.submit(10, { retries: 0 })
  await until(() => given.size === 10)
  const [completion, input, failed, failedByInput, left] = [
    reading(lab, id, { follow: 'true' }),
    reading(lab, id, { follow: 'true', order: 'input' }),
    reading(lab, id, { follow: 'true', failed: 'true' }),
    reading(lab, id, { follow: 'true', failed: 'true', order: 'input' }),
    reading(lab, id, { follow: 'true' }),
  ]
  await end(7, 4)
  await until(() => completion.units.length === 2 && failed.units.length === 1)
  expect(completion.units).toEqual([7, 4])
  expect(input.units).toEqual([])
  expect(failed.units).toEqual([4])
  expect(await lab.rows(id, { order: 'input' })).toMatchObject([
    { unit: 4, status: 'failed' },
    { unit: 7, value: 7 },
  ])
  left.stop()
  await left.done
  await end(0, 1, 2)
  await until(() => input.units.length === 3)
  expect(input.units).toEqual([0, 1, 2])
  const late = reading(lab, id, { follow: 'true', after: '2' })
  const lateByInput = reading(lab, id, { follow: 'true', order: 'input', after: '2' })
  await end(3)
  await until(() => input.units.length === 5 && failedByInput.units.length === 1)
  expect(failedByInput.units).toEqual([4])
  await end(9, 8, 6, 5)
  await lab.ended(id)
  await Promise.all([completion, input, failed, failedByInput, late, lateByInput].map(({ done }) => done))
  expect(completion.units).toEqual([7, 4, 0, 1, 2, 3, 9, 8, 6, 5])
  expect(input.units).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(failed.units).toEqual([4, 9])
  expect(failedByInput.units).toEqual([4, 9])
  expect(late.units).toEqual([0, 1, 2, 3, 9, 8, 6, 5])
  expect(lateByInput.units).toEqual([3, 4, 5, 6, 7, 8, 9])
  expect((await lab.rows(id)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

it('a reader in input order gets what is there when the job is called off', async () => {
  await using lab = await Laboratory.open({ slots: 0 })
  const { given, end } = await obedient(lab)
  const { id } = await lab.submit(10)
  await until(() => given.size === 10)
  const input = reading(lab, id, { follow: 'true', order: 'input' })
  const completion = reading(lab, id, { follow: 'true' })
  await end(0, 7)
  await until(() => completion.units.length === 2)
  expect(await lab.jobs.cancel(id)).toMatchObject({ state: 'cancelled', accepted: 2 })
  await Promise.all([input.done, completion.done])
  expect(input.units).toEqual([0, 7])
  await expect(end(1, 2)).rejects.toMatchObject({ code: 'E_UNREACHABLE' })
  expect(await lab.jobs.cancel(id)).toMatchObject({ state: 'cancelled', accepted: 2 })
})

it('pages follow on one another without a gap, and others have their turn between them', async () => {
  await using lab = await Laboratory.open()
  const units = 33
  const long = 'x'.repeat(LIMITS.API_CHUNK_CHARS / 8)
  const { id } = await lab.submit(units, {
    source: `exports.default = ({ n }) => { if (n === ${units - 1}) throw 1; return '${long}' + n }`,
    retries: 0,
  })
  await lab.ended(id)
  expect(await lab.values(id)).toEqual([...Array.from({ length: units - 1 }, (_, n) => long + n), 'E_TASK_THREW'])
  expect((await lab.rows(id)).map(({ seq }) => seq)).toEqual(Array.from({ length: units }, (_, i) => i + 1))
  expect(await lab.rows(id, { failed: 'true' })).toMatchObject([{ unit: units - 1 }])
  expect(await lab.rows(id, { failed: 'true', order: 'input' })).toMatchObject([{ unit: units - 1 }])
  let turns = 0
  let next: NodeJS.Immediate
  const turn = () => {
    turns += 1
    next = setImmediate(turn)
  }
  next = setImmediate(turn)
  await lab.rows(id)
  clearImmediate(next)
  expect(turns).toBeGreaterThan(2)
})
