import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { settingsSchema } from '../../node/config.ts'
import { type RunningNode, startNode } from '../../node/daemon.ts'
import { statePaths } from '../../protocol/home.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'

type Slow = typeof import('./tasks/slow.task.ts')
const slow = taskAt<Slow>(new URL('./tasks/slow.task.ts', import.meta.url))
const UNITS = 60

let home: string
let node: RunningNode

const start = async (): Promise<RunningNode> =>
  startNode({
    paths: statePaths({ TALKOOT_HOME: home }),
    settings: settingsSchema.parse({ cpus: 2, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false }),
    log: pino({ level: 'silent' }),
  })

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'talkoot-restart-'))
  node = await start()
})
afterEach(async () => {
  await node.stop()
  await rm(home, { recursive: true, force: true })
})

it.each(['completion', 'input'] as const)('results in %s order go on when a real node is restarted', async (order) => {
  const mesh = await Mesh.connect({ home })
  await using job = await mesh.map(slow, grid({ n: range(UNITS) }))
  const seen: number[] = []
  for await (const { unit, value } of job.results({ order })) {
    expect(value).toBe(unit)
    seen.push(unit)
    if (seen.length !== 10) continue
    await node.stop()
    node = await start()
  }
  expect(order === 'input' ? seen : seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: UNITS }, (_, i) => i))
  const states: string[] = []
  for await (const { state } of job.watch()) states.push(state)
  expect(states).toEqual(['done'])
  expect((await (await mesh.attach(job.id.slice(0, 10))).progress()).accepted).toBe(UNITS)
})
