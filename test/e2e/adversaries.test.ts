/** Strangers that do not tell the truth, as real nodes beside honest ones: 10,000 units at a confidence of 0.999. */

import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statusSchema } from '../../protocol/api.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess } from './node-process.ts'

const UNITS = 10_000
const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)
const program = fileURLToPath(new URL('./altered-node.ts', import.meta.url))

let lab: Lab
let home: NodeProcess
let invitation = ''

beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--open', '--cores', '0'])
  invitation = statusSchema.parse(await home.json(['status'])).mesh.invitation ?? ''
  for (const name of ['one', 'two', 'three']) await lab.node(name, ['--cores', '1', '--join', invitation])
  await home.sees(4)
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

/** Who of those connected is held to have given wrong values. */
const liars = async (): Promise<string[]> => (await home.askPeers()).filter(({ liar }) => liar).map(({ name }) => name)

/** Sweeps with more peers of this kind, until as many are blamed or there were so many; who is blamed. */
async function sweepBeside(kind: string, sweeps: number, names: string[] = [kind], collusion = 0.01) {
  const adversaries: NodeProcess[] = []
  for (const name of names) {
    const args = { program: [program, name, invitation, kind] }
    adversaries.push(await lab.node(name.replaceAll(/\W+/g, '-'), [], args))
  }
  try {
    await home.sees(4 + names.length)
    return await blamedAfter(sweeps, names.length, collusion)
  } finally {
    for (const adversary of adversaries) await adversary.kill('SIGKILL')
    await home.sees(4)
  }
}

async function blamedAfter(sweeps: number, expected: number, collusion: number): Promise<string[]> {
  await using mesh = await Mesh.connect({ home: home.home })
  const sweep = grid({ x: range(UNITS), ms: [0] })
  let blamed: string[] = []
  for (let i = 0; i < sweeps && blamed.length < expected; i++) {
    await using job = await mesh.map(square, sweep, { verify: { confidence: 0.999, collusion } })
    const wrong: number[] = []
    for (const { unit, value, params } of await job.collect()) if (value !== params.x ** 2) wrong.push(unit)
    expect(wrong).toEqual([])
    blamed = await liars()
  }
  return blamed.toSorted()
}

describe('no wrong value is accepted, and the right peer is blamed', () => {
  test.each(['always liar', 'random liar', 'lazy', 'equivocator', 'selective by unit', 'earn, then cheat'])(
    '%s',
    { timeout: 120_000 },
    async (kind) => {
      expect(await sweepBeside(kind, 5)).toEqual([kind])
    },
  )

  test('two who plot, beside three that are known', { timeout: 120_000 }, async () => {
    expect(await sweepBeside('colluder', 5, ['plot one', 'plot two'], 1)).toEqual(['plot one', 'plot two'])
  })

  test('slow poison: who stops to answer holds up nobody, and is no liar', { timeout: 120_000 }, async () => {
    expect(await sweepBeside('slow poison', 1)).toEqual([])
  })
})
