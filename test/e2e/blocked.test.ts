/** A peer that is blocked is given nothing and gives nothing, from that moment on, until it is let back. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const TASK = fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url))
const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(TASK)

const here = async (node: NodeProcess) =>
  (await node.json<{ working: { shares: { name: string; running: number }[] } }>(['status'])).working.shares

it('no work goes to a blocked peer nor comes from it, and its units come back', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  const bad = await lab.node('bad', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
  await using mesh = await Mesh.connect({ home: home.home })
  await using its = await Mesh.connect({ home: bad.home })

  // Each gives the other units that take long.
  const onBad = await mesh.map(square, grid({ x: range(4), ms: [600_000] }), {
    require: 'peer.name == "bad"',
    timeoutMs: 900_000,
  })
  const onHome = await its.map(square, grid({ x: range(4), ms: [600_000] }), {
    require: 'peer.name == "home"',
    timeoutMs: 900_000,
  })
  const runs = async (node: NodeProcess, of: string) =>
    (await here(node)).some(({ name, running }) => name === of && running > 0)
  await until('both to work', 80_000, async () => (await runs(bad, 'home')) && (await runs(home, 'bad')))

  const blocked = await home.json(['peer', 'block', 'bad', '--reason', 'overheats'])
  expect(blocked).toMatchObject({ rules: [{ kind: 'peer', verdict: 'blocked', reason: 'overheats' }] })
  const idle = async () => (await onBad.explain()).peers.idle.map(({ reason, names }) => `${names}: ${reason}`)
  expect(await idle()).toContain('bad: blocked')
  await until(
    'neither to work',
    60_000,
    async () => !(await runs(home, 'bad')) && (await onHome.progress()).running === 0,
  )
  const { peers, rules } = await mesh.peers()
  expect(peers.find(({ name }) => name === 'bad')).toMatchObject({
    connected: true,
    rule: { verdict: 'blocked' },
    notes: ['blocked here: overheats'],
  })
  expect(rules).toHaveLength(1)
  expect(await home.json(['explain', 'peer', 'bad'])).toMatchObject({ idle: { reason: 'blocked' } })
  expect((await home.run(['run', TASK, '-p', 'x=1', '-p', 'ms=1', '--require', 'peer.name == "bad"'])).code).toBe(4)

  // It holds when the node starts again.
  await home.kill('SIGTERM')
  await home.start()
  await home.sees(2)
  expect(await idle()).toContain('bad: blocked')
  expect((await here(home)).map(({ name }) => name)).not.toContain('bad')

  await mesh.unblock('bad')
  await until('both to work again', 120_000, async () => (await runs(bad, 'home')) && (await runs(home, 'bad')))
  expect((await home.run(['peer', 'unblock', 'bad'])).code).toBe(2)
})
