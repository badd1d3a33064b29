/** The zoo: a situation for each reason to wait, on real nodes, each explained by `talkoot explain` on the command line. */

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Status } from '../../protocol/api.ts'
import {
  type JobExplanation,
  jobExplanationSchema,
  peerExplanationSchema,
  unitExplanationSchema,
} from '../../protocol/explanation.ts'
import { Mesh } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const TASK = fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url))

/** Where others have the cores at the moment of a pause, the next may show how soon it takes effect. */
const PAUSES = 5

/** Submits without asking whether anybody could run it, and answers with the job's id. */
async function submit(node: NodeProcess, units: number, ms: number, ...args: string[]): Promise<string> {
  const sweep = ['--param', `x=0:${units}:1`, '--param', `ms=${ms}`]
  const { id } = await node.json<{ id: string }>(['submit', TASK, ...sweep, '--queue', ...args])
  return id
}

const explain = async (node: NodeProcess, job: string): Promise<JobExplanation> =>
  jobExplanationSchema.parse(await node.json(['explain', job]))

/** Waits until the job and its last unit wait for this reason; what is told of both. */
async function explained(node: NodeProcess, job: string, reason: string) {
  let last: JobExplanation | null = null
  await until(`${reason}, not ${JSON.stringify(last)}`, 120_000, async () => {
    last = await explain(node, job)
    return last.waiting.some((entry) => entry.reason === reason)
  }).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last?.waiting)} ${JSON.stringify(last?.peers)}`)
  })
  const whole = await explain(node, job)
  const unit = unitExplanationSchema.parse(await node.json(['explain', `${job}/${whole.units - 1}`]))
  expect(unit.waiting?.reason).toBe(reason)
  return { whole, unit }
}

it('one machine: nobody there, own limits, held, after another, one that failed', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0', '--mem', '512MiB'])
  const alone = await submit(home, 3, 1)
  const { whole } = await explained(home, alone, 'no-peer')
  expect(whole.peers.idle).toMatchObject([{ reason: 'no-cores', peers: 1, names: ['home'] }])

  const next = await submit(home, 3, 1, '--after', alone.slice(0, 10))
  expect((await explained(home, next, 'dependency')).whole.after).toMatchObject([{ job: alone, state: 'running' }])

  await home.run(['job', 'hold', alone])
  await explained(home, alone, 'held')
  await home.kill('SIGKILL')
  await home.start()
  expect((await explained(home, alone, 'held')).whole.waiting[0]?.mover).toBe('user')
  await home.run(['job', 'cancel', alone])
  await explained(home, next, 'dependency-failed')
  await home.run(['job', 'release', next])
  await explained(home, next, 'no-peer')

  const worker = await lab.node('worker', ['--cores', '1', '--mem', '512MiB', '--join', await home.token()])
  await home.sees(2)
  const big = await submit(home, 2, 1, '--memory', '1GiB')
  const limits = await explained(home, big, 'own-limits')
  expect(limits.whole.clauses).toContainEqual({ clause: 'offers the 1024 MiB of one unit', excludes: 2, remaining: 0 })
  const none = await submit(home, 2, 1, '--require', 'peer.cpus >= 64')
  expect((await explained(home, none, 'no-match')).whole.peers.idle).toMatchObject([
    { reason: 'no-match', names: ['worker'] },
    { reason: 'no-cores', names: ['home'] },
  ])
  await worker.kill('SIGKILL')
})

it('a few machines: all busy, too few to agree', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  await lab.node('worker', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
  const long = await submit(home, 50, 20_000)
  const busy = await explained(home, long, 'busy')
  expect(busy.whole.peers).toMatchObject({ known: 2, working: 1 })
  const first = unitExplanationSchema.parse(await home.json(['explain', `${long}/0`]))
  expect(first).toMatchObject({ state: 'running', waiting: null, attempts: [{ name: 'worker', holding: 'running' }] })
  await home.run(['job', 'cancel', long])

  const pairs = await submit(home, 2, 1, '--quorum', '2')
  await until('one voice on each', 120_000, async () => {
    const unit = unitExplanationSchema.parse(await home.json(['explain', `${pairs}/1`]))
    return unit.attempts[0]?.holding === 'voiced'
  })
  const short = await explained(home, pairs, 'quorum-short')
  expect(short.unit).toMatchObject({ missing: 1, attempts: [{ name: 'worker', said: { ok: true } }] })
  expect(short.whole.peers.idle).toMatchObject([
    { reason: 'all-given', names: ['worker'] },
    { reason: 'no-cores', names: ['home'] },
  ])
})

it('a machine its owner pauses: nothing runs there within a second, its return is known, a restart changes nothing', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  const worker = await lab.node('worker', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
  const job = await submit(home, 5, 60_000)
  const mesh = await Mesh.connect({ home: worker.home })
  let [began, soonest] = [0, Number.POSITIVE_INFINITY]
  for (let pauses = 0; pauses < PAUSES && soonest >= 1_000; pauses++) {
    if (pauses > 0) await worker.json(['resume'])
    await until('a unit to run', 120_000, async () => (await mesh.status()).working.running === 1)
    began = performance.now()
    const { paused } = await worker.json<Status>(['pause', '30m'])
    expect(paused?.returnsInMs).toBeGreaterThan(1_790_000)
    const told = performance.now()
    await until('the worker to stand still', 60_000, async () => {
      const { working } = await mesh.status()
      return working.running === 0 && working.queued === 0
    })
    soonest = Math.min(soonest, performance.now() - told)
  }
  expect(soonest).toBeLessThan(1_000)
  const { whole } = await explained(home, job, 'paused')
  expect(whole.running).toBe(0)
  const [group] = whole.peers.idle
  expect(group).toMatchObject({ reason: 'paused', peers: 1, names: ['worker'] })
  expect(group?.returnsInMs).toBeLessThanOrEqual(1_800_000)
  expect(group?.returnsInMs).toBeGreaterThan(1_800_000 - (performance.now() - began) - 5_000)

  await worker.kill('SIGKILL')
  await worker.start()
  await home.sees(2)
  await explained(home, job, 'paused')
  expect((await worker.json<Status>(['status'])).paused).not.toBe(null)
  await worker.run(['resume'])
  await until('the job to go on', 60_000, async () => (await explain(home, job)).running > 0)
})

it('a peer that lied is trusted no more, and waits to be joined by others', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  await lab.alteredNode('liar', { token: await home.token(), kind: 'now and then' })
  const honest = [
    await lab.node('oak', ['--cores', '1', '--join', await home.token()]),
    await lab.node('elm', ['--cores', '1', '--join', await home.token()]),
  ]
  await home.sees(4)
  const job = await submit(home, 100_000, 1, '--quorum', '2', '--of', '3')
  await until('the liar to be found out', 120_000, async () => {
    const { idle } = peerExplanationSchema.parse(await home.json(['explain', 'peer', 'liar']))
    return idle?.reason === 'untrusted'
  })
  await Promise.all(honest.map((node) => node.kill('SIGKILL')))
  const { whole } = await explained(home, job, 'untrusted')
  expect(whole.waiting.map(({ reason, mover }) => [reason, mover])).toEqual([['untrusted', 'user']])
  expect(whole.peers.idle).toContainEqual(expect.objectContaining({ reason: 'untrusted', names: ['liar'] }))
})
