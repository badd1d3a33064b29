/** A worker that lies on three units in ten, among honest ones: nothing wrong is accepted, and it is named. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab } from './node-process.ts'

const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)

it('with two agreeing of at most three no wrong value is accepted, and the liar is named in peers', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  await lab.alteredNode('liar', { token: await home.token(), kind: 'now and then' })
  await lab.node('honest', ['--cores', '1', '--join', await home.token()])
  await home.sees(3)

  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(square, grid({ x: range(300), ms: [1] }), { verify: { quorum: 2, of: 3 } })
  for (const { value, params } of await job.collect()) expect(value).toBe(params.x ** 2)

  const { peers } = await home.peers()
  expect(peers.filter(({ liar }) => liar).map(({ name }) => name)).toEqual(['liar'])
  expect((await job.progress()).disagreements).toBeGreaterThan(0)
})
