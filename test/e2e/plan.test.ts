/** A plan on real nodes, and what then comes of it. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { planSchema } from '../../protocol/plan.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab } from './node-process.ts'

const file = fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url))
const TRIALS = 4
const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(file)

it('says who matches and how far the others are from it, and with a trial about how long it takes', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1', '--mem', '2GiB'])
  await lab.node('worker', ['--cores', '1', '--mem', '1GiB', '--join', await home.token()])
  await home.sees(2)
  const sweep = ['--param', 'x=0:100:1', '--param', 'ms=40']
  const plan = async (...args: string[]) => planSchema.parse(await home.json(['plan', file, ...sweep, ...args]))

  const untimed = await plan('--require', 'peer.memory >= 2 * GiB')
  expect(untimed).toMatchObject({
    units: 100,
    peers: { known: 2, matching: 1, slots: 1 },
    relaxations: [{ changes: [{ clause: 'peer.memory >= 2 * GiB', to: 'peer.memory >= 1 * GiB' }], gains: 1 }],
    blocked: null,
    finish: null,
  })
  expect(await plan('--require', 'peer.cpus > 64')).toMatchObject({ blocked: { reason: 'no-match' } })

  await using mesh = await Mesh.connect({ home: home.home })
  const points = grid({ x: range(100), ms: [40] })
  const foretold = async (): Promise<boolean> => {
    const timed = await plan('--trial', '20')
    expect(timed).toMatchObject({ peers: { matching: 2, slots: 2 }, unitTime: { from: 'history' } })
    const { lowMs = 0, likelyMs = 0, highMs = 0 } = timed.finish ?? {}
    // Two slots, 100 units of at least 40 ms: 2 s, whatever else this machine does.
    expect(likelyMs).toBeGreaterThan(1_000)
    expect(lowMs).toBeLessThanOrEqual(likelyMs)
    expect(highMs).toBeGreaterThanOrEqual(likelyMs)
    expect((await mesh.plan(square, points)).finish).not.toBe(null)
    const began = performance.now()
    await using job = await mesh.map(square, points)
    await job.collect()
    const took = performance.now() - began
    console.info(`foretold ${lowMs}, ${likelyMs}, ${highMs} ms; took ${took.toFixed(0)} ms`)
    // Within a factor of two of the band.
    return took > lowMs / 2 && took < highMs * 2 + 2_000
  }
  // What else a machine does may change between the trial and the job.
  let holds = false
  for (let trials = 0; trials < TRIALS && !holds; trials++) holds = await foretold()
  expect(holds).toBe(true)
})
