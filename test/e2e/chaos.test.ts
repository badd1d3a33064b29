/** Machines are killed, frozen and started again at random all through a sweep, the submitter's among them. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const UNITS = 1_500
const CALAMITIES = 8
/** Longer than a lease, shorter than what makes the mesh forget a peer. */
const FROZEN_MS = 4_000
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)

it(`every unit is decided once and rightly through ${CALAMITIES} calamities (SEED=${SEED})`, async () => {
  await using lab = new Lab()
  const random = lehmer(SEED)
  const home = await lab.node('home', ['--cores', '1'])
  const workers: NodeProcess[] = []
  for (const name of ['oak', 'elm', 'ash']) {
    workers.push(await lab.node(name, ['--cores', '1', '--join', await home.token()]))
  }
  await home.sees(4)
  const first = await Mesh.connect({ home: home.home })
  const { id } = await first.map(square, grid({ x: range(UNITS), ms: [8] }), { verify: { quorum: 2 }, retries: 10 })
  const accepted = async () => (await home.json<{ accepted: number }>(['job', 'show', id])).accepted

  for (let calamity = 0; calamity < CALAMITIES; calamity++) {
    const settled = await accepted()
    await until('some units to be decided between calamities', 120_000, async () => {
      const now = await accepted()
      return now >= Math.min(UNITS, settled + 40)
    })
    const victim = [home, ...workers][Math.floor(random() * 4)] ?? home
    await (victim !== home && random() < 0.5 ? freeze(victim) : killAndStart(victim))
  }

  const mesh = await Mesh.connect({ home: home.home })
  const job = await mesh.attach<{ x: number; ms: number }, number>(id)
  const results = await job.collect()
  expect(results.map(({ unit }) => unit)).toEqual([...Array(UNITS).keys()])
  for (const { value, params } of results) expect(value).toBe(params.x ** 2)
  expect((await job.progress()).disagreements).toBe(0)
}, 900_000)

async function killAndStart(node: NodeProcess): Promise<void> {
  await node.kill('SIGKILL')
  await node.start()
}

async function freeze(node: NodeProcess): Promise<void> {
  const thawAt = performance.now() + FROZEN_MS
  process.kill(node.pid, 'SIGSTOP')
  await until('the frost to end', FROZEN_MS * 2, () => performance.now() >= thawAt)
  process.kill(node.pid, 'SIGCONT')
}

/** Park and Miller's generator: enough to choose victims by a seed. */
function lehmer(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
