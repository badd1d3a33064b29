/** Strangers that do not tell the truth, as real nodes beside honest ones: 10,000 units at a confidence of 0.999. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statusSchema } from '../../protocol/api.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess } from './node-process.ts'

const UNITS = 10_000
/** Of two that dial each other at once one may find its handshake cut off: that is nobody's fault. */
const CUT_OFF = 'E_HANDSHAKE'
const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)

let lab: Lab
let home: NodeProcess
let another: NodeProcess
let invitation = ''

beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--open', '--cores', '0'])
  invitation = statusSchema.parse(await home.json(['status'])).mesh.invitation ?? ''
  const honest = (name: string) => lab.node(name, ['--cores', '1', '--join', invitation])
  another = await honest('one')
  for (const name of ['two', 'three']) await honest(name)
  await home.sees(4)
})

afterAll(() => lab[Symbol.asyncDispose]())

/** Who of those connected is held to have given wrong values. */
const liars = async (node = home): Promise<string[]> =>
  (await node.askPeers())
    .filter(({ liar, connected }) => liar && connected)
    .map(({ name }) => name)
    .toSorted()

/** With more peers of this kind; null: each of the kind it is named for. */
async function beside<T>(kind: string | null, names: string[], work: () => Promise<T>): Promise<T> {
  const adversaries: NodeProcess[] = []
  for (const name of names) {
    const altered = { token: invitation, kind: kind ?? name, folder: join(lab.folder, 'plot') }
    adversaries.push(await lab.alteredNode(name, altered))
  }
  try {
    await home.sees(4 + names.length)
    return await work()
  } finally {
    for (const adversary of adversaries) await adversary.kill('SIGKILL')
    await home.sees(4)
  }
}

/** Sweeps until as many are blamed or there were so many; who is blamed. */
async function blamedAfter(sweeps: number, expected: number, collusion = 0.01, node = home): Promise<string[]> {
  await using mesh = await Mesh.connect({ home: node.home })
  const sweep = grid({ x: range(UNITS), ms: [0] })
  let blamed: string[] = []
  for (let i = 0; i < sweeps && (i === 0 || blamed.length < expected); i++) {
    await using job = await mesh.map(square, sweep, { verify: { confidence: 0.999, collusion } })
    const wrong: number[] = []
    for (const { unit, value, params } of await job.collect()) if (value !== params.x ** 2) wrong.push(unit)
    expect(wrong).toEqual([])
    blamed = await liars(node)
  }
  return blamed
}

describe('no wrong value is accepted, and the right peer is blamed', () => {
  test.each(['always liar', 'random liar', 'lazy', 'equivocator', 'selective by unit', 'earn, then cheat'])(
    '%s',
    async (kind) => {
      expect(await beside(null, [kind], () => blamedAfter(5, 1))).toEqual([kind])
    },
  )

  test('two who plot, beside three that are known', async () => {
    const names = ['plot one', 'plot two']
    expect(await beside('colluder', names, () => blamedAfter(5, 2, 1))).toEqual(names)
  })

  test('slow poison: who stops to answer holds up nobody, and is no liar', async () => {
    expect(await beside(null, ['slow poison'], () => blamedAfter(1, 0))).toEqual([])
  })

  test('two who lie where both have a unit', async () => {
    const names = ['cabal one', 'cabal two']
    for (const name of await beside('in a majority', names, () => blamedAfter(5, 2, 1))) expect(names).toContain(name)
  })

  test('one operator whose names are new whenever the last were found out', async () => {
    for (const names of [
      ['sybil one', 'sybil two'],
      ['sybil four', 'sybil three'],
    ]) {
      expect(await beside('always liar', names, () => blamedAfter(5, 2, 1))).toEqual(names)
    }
  })

  test('who tells the truth to one asker only is blamed by the others', async () => {
    await beside(null, ['two-faced'], async () => {
      expect(await blamedAfter(1, 1)).toEqual([])
      expect(await blamedAfter(5, 1, 0.01, another)).toEqual(['two-faced'])
      expect(await liars()).toEqual([])
    })
  })

  test('whose receipts are replayed, forged or another’s is refused, and its results count for nothing', async () => {
    const kinds = ['forged receipts', 'receipts of another', 'replayed receipts']
    await beside(null, kinds, async () => {
      const names = new Map((await home.askPeers()).map(({ id, name }) => [id, name]))
      const blamed = new Set<string>()
      // Who is new may be given one frame of units only, and nothing to replay.
      for (let sweeps = 0; sweeps < 5 && blamed.size < kinds.length; sweeps++) {
        expect(await blamedAfter(1, 0)).toEqual([])
        for (const { peer, code } of (await home.peers()).refused) {
          const name = names.get(peer ?? '')
          if (name !== undefined && code !== CUT_OFF) blamed.add(`${name} ${code}`)
        }
      }
      expect([...blamed].toSorted()).toEqual(kinds.map((kind) => `${kind} E_FRAME`))
    })
  })

  test('no honest peer has lost its standing', async () => {
    for (const node of [home, another]) expect(await liars(node)).toEqual([])
    const { peers, refused } = await home.peers()
    const honest = peers.filter(({ self, connected }) => !self && connected)
    expect(honest.map(({ name }) => name).toSorted()).toEqual(['one', 'three', 'two'])
    for (const { id, credit } of honest) {
      expect(credit).toMatchObject({ caught: 0, admission: 'work' })
      expect(refused.filter(({ code }) => code !== CUT_OFF).map(({ peer }) => peer)).not.toContain(id)
    }
  })
})
