/** Submitters that share one worker: each has its part of the slots, and small jobs do not wait for huge ones. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { API, type Status, statusSchema } from '../../protocol/api.ts'
import { Client } from '../../sdk/client.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const slowSquare = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const HUGE = 1_000_000
/** Of each submitter: what waits for all of them outlasts a submitter that has to wait for a core itself. */
const JOBS = 4
/** Slot time over which shares are measured, and how often twice as long. */
const SPAN_MS = 30_000
const SPANS_MAX = 4
const sweep = (units: number, ms: number) => grid({ x: range(units), ms: [ms] })

/** Without a process for each look. */
const statusOf = ({ home }: NodeProcess): Promise<Status> => new Client({ home }).request(API.status, statusSchema)

/** A worker of two slots that only works, and so many nodes that only submit, with these weights there. */
async function mesh(lab: Lab, weights: readonly number[]): Promise<{ worker: NodeProcess; submitters: NodeProcess[] }> {
  const worker = await lab.node('worker', ['--cores', '2', '--mem', '2GiB'])
  const submitters: NodeProcess[] = []
  const peers: Record<string, number> = {}
  for (const [i, weight] of weights.entries()) {
    const submitter = await lab.node(`s${i}`, ['--cores', '0', '--join', await worker.token()])
    submitters.push(submitter)
    peers[(await statusOf(submitter)).peer] = weight
  }
  // Whom it has not met it could not find again at its new address.
  await worker.sees(1 + weights.length)
  await worker.kill('SIGTERM')
  writeFileSync(join(worker.home, 'config.json'), JSON.stringify({ shares: { peers } }))
  await worker.start()
  for (const submitter of submitters) {
    await until('the submitter to see the worker', 120_000, async () =>
      (await submitter.askPeers()).some(({ name, connected }) => name === 'worker' && connected),
    )
  }
  return { worker, submitters }
}

/** Slot time used by each submitter, in the order of the weights; null: not all of them have units that wait there. */
async function slotTimes(worker: NodeProcess, weights: readonly number[]): Promise<number[] | null> {
  const { shares } = (await statusOf(worker)).working
  const ours = weights.map((_, i) => shares.find(({ name }) => name === `s${i}`))
  return ours.every((share) => share !== undefined && share.queued > 0) ? ours.map((share) => share?.slotMs ?? 0) : null
}

/**
 * What each had of its due, from one moment on in which all had had a slot. It is begun anew whenever one of them is
 * without work. By how much a turn is early or late does not grow with time: where units are slow, only more of them tell.
 */
async function sharesOfDue(worker: NodeProcess, weights: readonly number[]): Promise<number[]> {
  let before: number[] | null = null
  let shares: number[] = []
  let spans = 0
  await until('all to have work for long enough', 400_000, async () => {
    const times = await slotTimes(worker, weights)
    if (times === null || before === null) {
      before = times?.every((ms) => ms > 1_000) ? times : null
      spans = 0
      return false
    }
    const used = times.map((ms, i) => ms - (before?.[i] ?? 0))
    if (sum(used) < SPAN_MS * 2 ** spans) return false
    spans += 1
    shares = used.map((ms, i) => ms / sum(used) / ((weights[i] ?? 0) / sum(weights)))
    console.info(`slot time / weight after ${sum(used)} ms: ${shares.map((share) => share.toFixed(3)).join(' ')}`)
    return spans === SPANS_MAX || shares.every(isWithinTenth)
  })
  return shares
}

const isWithinTenth = (share: number): boolean => Math.abs(share - 1) < 0.1

describe('slot time on a shared worker follows the weights within a tenth', () => {
  it.each([[[3, 1]], [[1, 1, 2, 3, 4]]])('%j', { timeout: 600_000 }, async (weights) => {
    await using lab = new Lab()
    const { worker, submitters } = await mesh(lab, weights)
    for (const [i, submitter] of submitters.entries()) {
      await using home = await Mesh.connect({ home: submitter.home })
      for (let job = 0; job < JOBS; job++) await home.map(slowSquare, sweep(HUGE, 20 + 10 * i))
    }
    for (const share of await sharesOfDue(worker, weights)) expect(share).toSatisfy(isWithinTenth)
  })
})

describe('20 units beside 1,000,000 have their first result within a second', () => {
  it.each([
    ['of the same submitter', 0, 50],
    ['of another', 1, 50],
    ['of the same submitter, beside units of nearly a second', 0, 700],
  ])('%s', async (_, who, ms) => {
    await using lab = new Lab()
    const { worker, submitters } = await mesh(lab, [1, 1])
    await using one = await Mesh.connect({ home: submitters[0]?.home ?? '' })
    await using other = await Mesh.connect({ home: submitters[who]?.home ?? '' })
    await one.map(slowSquare, sweep(HUGE, ms))
    // Its windows are full.
    await until('units to wait', 80_000, async () => (await statusOf(worker)).working.total > 20 + 4_000 / ms)
    // Before the small ones, which would thin it. Where other processes have the cores, units take longer, and nobody can say by how
    // much at any moment.
    const { total, shares } = (await statusOf(worker)).working
    const unitMs = sum(shares.map(({ slotMs }) => slotMs)) / total
    const slowdown = Math.max(1, unitMs / ms)
    const waits: number[] = []
    for (let round = 0; round < 3; round++) {
      await using small = await other.map(slowSquare, sweep(20, 1), { seed: 1 + round })
      const began = performance.now()
      for await (const _ of small) break
      waits.push(Math.round(performance.now() - began))
    }
    console.info(`first result after ${waits.join(', ')} ms, units of ${ms} ms take ${unitMs.toFixed(0)} ms`)
    const busy = slowdown > 1.25
    if (busy) console.warn('not run: the bound of one second, as other processes have the cores; held to a wider one')
    for (const wait of waits) expect(wait).toBeLessThan(busy ? 3_000 * slowdown : 1_000)
  })
})

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
