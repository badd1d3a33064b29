/** `verify: { confidence }` in real processes, with a worker that lies on three units in ten. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { statusSchema } from '../../protocol/api.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess } from './node-process.ts'

const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)

/** Until all honest peers are known, and the liar for what it is. */
const SWEEPS_MAX = 5

/** Strangers: whoever has the invitation may come. */
async function openMesh(lab: Lab, kind: string, honest: string[]): Promise<NodeProcess> {
  const home = await lab.node('home', ['--open', '--cores', '0'])
  const { mesh } = statusSchema.parse(await home.json(['status']))
  const invitation = mesh.invitation ?? ''
  await lab.alteredNode('altered', { token: invitation, kind })
  for (const name of honest) await lab.node(name, ['--cores', '1', '--join', invitation])
  await home.sees(2 + honest.length)
  return home
}

it('no wrong value is accepted at 0.999, the liar is named, and who is known costs less the next time', async () => {
  await using lab = new Lab()
  const home = await openMesh(lab, 'now and then', ['one', 'two', 'three'])
  await using mesh = await Mesh.connect({ home: home.home })
  const sweep = grid({ x: range(500), ms: [1] })
  const verify = { confidence: 0.999, collusion: 0.01 }
  // Where others have the cores, a peer may have done too little in one sweep to be known by it.
  const isKnown = async () =>
    (await home.askPeers()).every(({ self, liar, credit }) => self || liar || credit.checksMissing === 0)
  let disagreements = 0
  for (let sweeps = 0; sweeps === 0 || (sweeps < SWEEPS_MAX && !(await isKnown())); sweeps++) {
    await using job = await mesh.map(square, sweep, { verify })
    for (const { value, params, confidence } of await job.collect()) {
      expect(value).toBe(params.x ** 2)
      expect(confidence).toBeGreaterThanOrEqual(0.999)
    }
    const progress = await job.progress()
    disagreements += progress.disagreements
    expect(progress.expectedWrong).toBeLessThan(0.5)
  }
  const liars = (await home.askPeers()).filter(({ liar }) => liar)
  expect(liars.map(({ name }) => name)).toEqual(['altered'])
  expect(disagreements).toBeGreaterThan(0)

  // The home node forgets nothing over a restart.
  await home.kill('SIGTERM')
  await home.start()
  await home.sees(5)
  await using later = await Mesh.connect({ home: home.home })
  await using second = await later.map(square, sweep, { verify })
  for (const { value, params } of await second.collect()) expect(value).toBe(params.x ** 2)
  expect((await second.progress()).executions).toBeLessThan(1.25 * 500)
})

it('a job whose task does not repeat is stopped within 20 disagreements, and says which field differs', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  for (const name of ['one', 'two', 'three', 'four']) {
    await lab.alteredNode(name, { token: await home.token(), kind: 'does not repeat' })
  }
  await home.sees(5)

  await using mesh = await Mesh.connect({ home: home.home })
  const sweep = grid({ x: range(100_000), ms: [1] })
  await using job = await mesh.map(square, sweep, { verify: { confidence: 0.999 } })
  const error = await job.collect().then(
    () => null,
    (thrown) => thrown,
  )
  expect(error).toMatchObject({ code: 'E_JOB_STOPPED', meta: { path: 'result.energy[3]' } })
  const { stopped, executions, accepted, disagreements, waiting } = await job.progress()
  expect(stopped).toMatchObject({ reason: 'not-repeatable', difference: { path: 'result.energy[3]' } })
  expect(accepted).toBe(0)
  expect(disagreements).toBeLessThanOrEqual(20)
  // What four peers had been given before the first of them disagreed: their windows, not the sweep.
  expect(executions).toBeLessThan(1_000)
  expect(waiting).toMatchObject([{ reason: 'not-repeatable', units: 100_000 }])
  // Nobody is to blame.
  expect((await home.peers()).peers.filter(({ liar }) => liar)).toEqual([])
  const { stdout } = await home.run(['explain', job.id])
  expect(stdout).toContain('result.energy[3]')
  expect(stdout).toContain('--tolerance')

  // The same with a quorum, for which nobody states how many lie.
  await using voted = await mesh.map(square, sweep, { verify: { quorum: 2 } })
  const thrown = await voted.collect().catch((reason) => reason)
  expect(thrown).toMatchObject({ code: 'E_JOB_STOPPED', meta: { path: 'result.energy[3]' } })
  expect((await voted.progress()).executions).toBeLessThan(1_000)
})
