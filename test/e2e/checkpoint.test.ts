/** A long unit loses its machine in the middle, and goes on elsewhere from what it saved. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { API } from '../../protocol/api.ts'
import { type UnitExplanation, unitExplanationSchema } from '../../protocol/explanation.ts'
import { Client } from '../../sdk/client.ts'
import { grid, Mesh, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const longWalk = taskAt<typeof import('./tasks/long-walk.task.ts')>(
  fileURLToPath(new URL('./tasks/long-walk.task.ts', import.meta.url)),
)
/** Half a minute of work on a machine that has nothing else to do. */
const STEPS = 1_000
const WALK = { steps: [STEPS], ms: [40] }

/** Waits until the unit runs and the submitter has something it saved. */
async function savedOf(home: NodeProcess, job: string): Promise<NonNullable<UnitExplanation['checkpoint']>> {
  const client = new Client({ home: home.home })
  let saved: UnitExplanation['checkpoint'] = null
  await until('the unit to save its state', 120_000, async () => {
    saved = (await client.request(API.unitExplanation(job, 0), unitExplanationSchema)).checkpoint
    return saved !== null
  })
  if (saved === null) throw new Error('nothing was saved')
  return saved
}

it('paused or killed, a machine costs a long unit what it did after its last checkpoint, and no more', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  const workers = [
    await lab.node('one', ['--cores', '1', '--join', await home.token()]),
    await lab.node('two', ['--cores', '1', '--join', await home.token()]),
  ]
  await home.sees(3)
  const names = new Map((await home.askPeers()).map(({ id, name }) => [id, name]))
  await using mesh = await Mesh.connect({ home: home.home })

  for (const stop of ['pause', 'kill']) {
    await using job = await mesh.map(longWalk, grid(WALK))
    const saved = await savedOf(home, job.id)
    const worker = workers.find(({ name }) => name === names.get(saved.peer))
    if (stop === 'pause') await worker?.json(['pause'])
    else await worker?.kill('SIGKILL')
    const [result] = await job.collect()
    expect(result?.value.steps).toBe(STEPS)
    expect(result?.value.from, stop).toBeGreaterThan(0)
    expect(result?.peers.map((peer) => names.get(peer))).not.toContain(worker?.name)
    if (stop === 'pause') await worker?.json(['resume'])
  }
})
