/** Submitters that share one worker: each has its part of the slots, and small jobs do not wait for huge ones. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Status, statusSchema } from '../../protocol/api.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const slowSquare = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const HUGE = 1_000_000
const sweep = (units: number, ms: number) => grid({ x: range(units), ms: [ms] })

const statusOf = async (node: NodeProcess): Promise<Status> => statusSchema.parse(await node.json(['status']))

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
    await until('the submitter to see the worker', 60_000, async () => (await statusOf(submitter)).peers > 0)
  }
  return { worker, submitters }
}

/** Slot time used by each submitter, in the order of the weights. */
async function slotTimes(worker: NodeProcess, weights: readonly number[]): Promise<number[]> {
  const { shares } = (await statusOf(worker)).working
  return weights.map((_, i) => shares.find(({ name }) => name === `s${i}`)?.slotMs ?? 0)
}

describe('slot time on a shared worker follows the weights within a tenth', () => {
  it.each([[[3, 1]], [[1, 1, 2, 3, 4]]])('%j', { timeout: 240_000 }, async (weights) => {
    await using lab = new Lab()
    const { worker, submitters } = await mesh(lab, weights)
    for (const [i, submitter] of submitters.entries()) {
      await using home = await Mesh.connect({ home: submitter.home })
      await home.map(slowSquare, sweep(HUGE, 20 + 10 * i))
    }
    await until('all to have had a slot', 60_000, async () =>
      (await slotTimes(worker, weights)).every((used) => used > 1_000),
    )
    const before = await slotTimes(worker, weights)
    const used = async () => (await slotTimes(worker, weights)).map((ms, i) => ms - (before[i] ?? 0))
    await until('half a minute of slot time', 60_000, async () => sum(await used()) >= 30_000)
    const times = await used()
    const shares = times.map((ms, i) => ms / sum(times) / ((weights[i] ?? 0) / sum(weights)))
    console.info(`slot time / weight: ${shares.map((share) => share.toFixed(3)).join(' ')}`)
    for (const share of shares) expect(Math.abs(share - 1)).toBeLessThan(0.1)
  })
})

describe('20 units beside 1,000,000 have their first result within a second', () => {
  it.each([
    ['of the same submitter', 0, 50],
    ['of another', 1, 50],
    ['of the same submitter, beside units of nearly a second', 0, 700],
  ])('%s', { timeout: 120_000 }, async (_, who, ms) => {
    await using lab = new Lab()
    const { worker, submitters } = await mesh(lab, [1, 1])
    await using one = await Mesh.connect({ home: submitters[0]?.home ?? '' })
    await using other = await Mesh.connect({ home: submitters[who]?.home ?? '' })
    await one.map(slowSquare, sweep(HUGE, ms))
    // Its windows are full.
    await until('units to wait', 20_000, async () => (await statusOf(worker)).working.total > 4_000 / ms)
    const waits: number[] = []
    for (let round = 0; round < 3; round++) {
      await using small = await other.map(slowSquare, sweep(20, 1), { seed: 1 + round })
      const began = performance.now()
      for await (const _ of small) break
      waits.push(Math.round(performance.now() - began))
    }
    // Where other processes have the cores, units take longer, and nobody can say by how much at any moment.
    const { total, shares } = (await statusOf(worker)).working
    const unitMs = sum(shares.map(({ slotMs }) => slotMs)) / total
    const slowdown = Math.max(1, unitMs / ms)
    console.info(`first result after ${waits.join(', ')} ms, units of ${ms} ms take ${unitMs.toFixed(0)} ms`)
    const busy = slowdown > 1.25
    if (busy) console.warn('not run: the bound of one second, as other processes have the cores; held to a wider one')
    for (const wait of waits) expect(wait).toBeLessThan(busy ? 3_000 * slowdown : 1_000)
  })
})

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
