/** Machines die in the middle of a sweep, and nothing is lost or done twice. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { grid, Mesh, type Result, range, taskAt } from '../../sdk/index.ts'
import { Lab, until } from './node-process.ts'

const slowSquare = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const UNITS = 400
const sweep = () => grid({ x: range(UNITS), ms: [20] })

function expectComplete(results: readonly Result<{ x: number; ms: number }, number>[]): void {
  expect(results.map(({ unit }) => unit).sort((a, b) => a - b)).toEqual([...Array(UNITS).keys()])
  for (const { params, value } of results) expect(value).toBe(params.x ** 2)
}

it('a worker killed in mid-sweep costs no result, and its units run again within seconds', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  const doomed = await lab.node('doomed', ['--cores', '1', '--join', await home.token()])
  await lab.node('other', ['--cores', '1', '--join', await home.token()])
  await home.sees(3)
  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(slowSquare, sweep())

  const results: Result<{ x: number; ms: number }, number>[] = []
  const began = performance.now()
  let killedAt = 0
  for await (const result of job) {
    results.push(result)
    if (results.length === 60) {
      await doomed.kill('SIGKILL')
      killedAt = performance.now()
    }
  }
  expectComplete(results)
  // What the rest takes on two machines of the three, a few times over, and some seconds.
  const perUnitMs = (killedAt - began) / 60
  expect(performance.now() - killedAt).toBeLessThan(15_000 + 4 * perUnitMs * (UNITS - 60))
  const { accepted, failed, state } = await job.progress()
  expect({ accepted, failed, state }).toEqual({ accepted: UNITS, failed: 0, state: 'done' })
})

it('a submitter killed in mid-sweep goes on where it was: no finished unit is run again', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  await lab.node('worker', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
  const first = await Mesh.connect({ home: home.home })
  const { id } = await first.map(slowSquare, sweep())
  await until('a hundred units to be done', 120_000, async () => {
    const info = await home.json<{ accepted: number }>(['job', 'show', id])
    return info.accepted >= 100
  })
  await home.kill('SIGKILL')
  await home.start()
  const before = await home.json<{ accepted: number; executions: number }>(['job', 'show', id])
  expect(before.accepted).toBeGreaterThanOrEqual(100)

  const watch = await home.run(['job', 'watch', id, '--json'])
  expect(watch.code).toBe(0)
  await using again = await Mesh.connect({ home: home.home })
  const results = await again.attach<{ x: number; ms: number }, number>(id).then((job) => job.collect())
  expectComplete(results)
  // Each unit was decided by one attempt; what was under way when the node died may have run twice, nothing else.
  expect(results.every(({ attempts }) => attempts === 1)).toBe(true)
  const { executions } = await home.json<{ executions: number }>(['job', 'show', id])
  expect(executions).toBeLessThanOrEqual(UNITS + 100)
})
