/** How many trees, holders and messages there are at once, and what a fetch does when nobody gives anything. */

import { expect, test } from 'vitest'
import type { Channel } from '../../node/mesh/mesh.ts'
import { Bitmap } from '../../node/mesh/trees/bitmap.ts'
import { Holders } from '../../node/mesh/trees/holders.ts'
import { type ToAsker, toHolderSchema } from '../../node/mesh/trees/messages.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, until } from './nodes.ts'
import { keepTrees, plant, sampleTree } from './tree-nodes.ts'
import { Stage } from './tree-stage.ts'

const MiB = 2 ** 20

test('so many trees come at once; a further one waits, and goes when one is done or given up', async () => {
  const stage = new Stage()
  const samples = Array.from({ length: LIMITS.TREE_FETCHES_MAX + 2 }, (_, seed) => sampleTree(1_000, seed + 1))
  for (const [at, sample] of samples.entries()) await plant(keepTrees(stage.mesh(`source${at}`)), sample)
  const { promise: open, resolve: release } = Promise.withResolvers<void>()
  let asked = 0
  const asker = keepTrees({
    ...stage.mesh('asker'),
    open: async (peer) => {
      asked += 1
      await open
      return await stage.open('asker', peer)
    },
  })
  const giveUp = new AbortController()
  const fetched = samples.map(({ digest }, at) =>
    asker.trees.fetch(digest, {
      from: [`source${at}`],
      maxBytes: MiB,
      signal: at === samples.length - 1 ? giveUp.signal : deadline(),
    }),
  )
  await until(() => asked === LIMITS.TREE_FETCHES_MAX)
  giveUp.abort()
  expect(await codeOf(fetched.pop() ?? Promise.resolve())).toBe('E_UNREACHABLE')
  expect(asked).toBe(LIMITS.TREE_FETCHES_MAX)
  release()
  for (const held of await Promise.all(fetched)) expect(held.whole).toBe(true)
})

test('trees of a peer that stalls take some places only: those of others come', async () => {
  const stage = new Stage()
  const samples = Array.from({ length: LIMITS.TREE_FETCHES_MAX }, (_, seed) => sampleTree(1_000, seed + 1))
  const honest = sampleTree(1_000, 100)
  await plant(keepTrees(stage.mesh('source')), honest)
  let asked = 0
  stage.serve('stalling', async (channel) => {
    asked += 1
    for await (const _ of channel);
  })
  const asker = keepTrees(stage.mesh('asker'))
  const giveUp = new AbortController()
  const stalled = samples.map(({ digest }) =>
    codeOf(asker.trees.fetch(digest, { from: ['stalling', 'source'], maxBytes: MiB, signal: giveUp.signal })),
  )
  const held = await asker.trees.fetch(honest.digest, { from: ['source'], maxBytes: MiB, signal: deadline() })
  expect(held.whole).toBe(true)
  expect(asked).toBe(LIMITS.TREE_FETCHES_PER_SOURCE_MAX)
  giveUp.abort()
  expect(new Set(await Promise.all(stalled))).toEqual(new Set(['E_UNREACHABLE']))
})

test('a peer that is always busy is waited for, and not for ever', async () => {
  const stage = new Stage()
  stage.serve('busy', async (channel) => {
    for await (const _ of channel) await channel.send(encodeFrame({ t: 'busy' } satisfies ToAsker))
  })
  let nowMs = 0
  // A clock that goes by itself each time it is looked at: some times for one answer.
  const stepMs = LIMITS.TREE_SILENCE_MS / 4
  const now = () => {
    nowMs += stepMs
    return nowMs
  }
  const asker = keepTrees(stage.mesh('asker'), { now })
  const { digest } = sampleTree(1_000)
  const fetched = asker.trees.fetch(digest, { from: ['busy'], maxBytes: MiB, signal: deadline() })
  expect(await codeOf(fetched)).toBe('E_TREE_SOURCE')
  expect(nowMs).toBeGreaterThanOrEqual(LIMITS.TREE_BUSY_MAX_MS)
  expect(nowMs).toBeLessThan(LIMITS.TREE_BUSY_MAX_MS + 2 * LIMITS.TREE_SILENCE_MS)
})

test('so many holders are asked at once and known; the named ones first, and one that lied never again', () => {
  const holders = new Holders({ self: 'self', random: () => 1 })
  const heard = Array.from({ length: LIMITS.TREE_HOLDERS_KNOWN_MAX }, (_, at) => ({ id: `heard${at}`, addresses: [] }))
  expect(holders.hear([...heard, { id: 'self', addresses: [] }])).toHaveLength(LIMITS.TREE_HOLDERS_KNOWN_MAX)
  expect(holders.hear([{ id: 'more', addresses: [] }])).toEqual([])
  holders.name('named')
  const due = holders.due(0)
  expect(due).toHaveLength(LIMITS.TREE_HOLDERS_MAX)
  expect(due[0]).toBe('named')
  for (const peer of due) holders.engage(peer)
  expect(holders.due(0)).toEqual([])
  holders.disengage('named', 'E_BLOB', 0)
  expect(holders.due(1e9)).not.toContain('named')
  holders.name('named')
  expect(holders.due(1e9)).not.toContain('named')
  // One only heard of, that never answers, makes room for others.
  for (const peer of ['heard0', 'heard1']) {
    for (let failure = 0; failure < 6; failure++) holders.disengage(peer, 'E_UNREACHABLE', 0)
  }
  expect(holders.hear([{ id: 'more', addresses: [] }])).toHaveLength(1)
})

test('a fetch of which nothing comes for too long ends, and what has come stays', async () => {
  const stage = new Stage()
  let laterMs = 0
  const sample = sampleTree(4 * MiB)
  await plant(keepTrees(stage.mesh('half')), sample, (chunk) => chunk < 2)
  const asker = keepTrees(stage.mesh('asker'), { now: () => performance.now() + laterMs })
  const wanted = { from: ['half'], maxBytes: sample.bytes, signal: deadline() }
  const failed = codeOf(asker.trees.fetch(sample.digest, wanted))
  await until(() => asker.trees.traffic.received === 2 * MiB)
  laterMs = LIMITS.TREE_SILENCE_MS
  expect(await failed).toBe('E_TREE_SOURCE')
  await plant(keepTrees(stage.mesh('source')), sample)
  const held = await asker.trees.fetch(sample.digest, { ...wanted, from: ['source'] })
  expect(held.whole).toBe(true)
  expect(asker.trees.traffic.received).toBe(sample.bytes)
})

test('who has fetched a tree is told to those who come later, the latest of them only, and they are met', async () => {
  const stage = new Stage()
  const sample = sampleTree(2 * MiB)
  const wanted = { from: ['source'], maxBytes: sample.bytes, signal: deadline() }
  const source = keepTrees(stage.mesh('source'))
  await plant(source, sample)
  const names = Array.from({ length: LIMITS.TREE_FETCHERS_TOLD_MAX + 2 }, (_, at) => `early${at}`)
  for (const name of names) {
    const mesh = { ...stage.mesh(name), meet: () => undefined }
    await keepTrees(mesh).trees.fetch(sample.digest, wanted)
  }
  const met: string[] = []
  const mesh = { ...stage.mesh('late'), meet: ({ id }: { id: string }) => met.push(id) }
  await keepTrees(mesh).trees.fetch(sample.digest, wanted)
  expect(met).toEqual(names.slice(-LIMITS.TREE_FETCHERS_TOLD_MAX))

  // Of so many other trees it is remembered, and then not of this one any more.
  for (let seed = 2; seed <= LIMITS.TREE_SHARINGS_MAX + 2; seed++) {
    const other = sampleTree(1_000, seed)
    await plant(source, other)
    await keepTrees(stage.mesh(`asker${seed}`)).trees.fetch(other.digest, wanted)
  }
  met.length = 0
  await keepTrees({ ...mesh, peerId: 'latest' }).trees.fetch(sample.digest, wanted)
  expect(met).toEqual([])
})

test('a holder that says it has nothing of what it was asked for is not waited for', async () => {
  const stage = new Stage()
  const sample = sampleTree(4 * MiB)
  await plant(keepTrees(stage.mesh('source')), sample)
  const say = (channel: Channel, message: ToAsker) => channel.send(encodeFrame(message))
  stage.serve('empty', async (channel) => {
    for await (const frame of channel) {
      const message = decodeFrame(toHolderSchema, frame)
      if (message.t === 'open') await say(channel, { t: 'has', bitmap: Bitmap.all(4).bytes })
      if (message.t === 'ask') for (const chunk of message.chunks) await say(channel, { t: 'gone', chunk })
    }
  })
  const asker = keepTrees(stage.mesh('asker'))
  const signal = deadline()
  const wanted = { from: ['source', 'empty'], maxBytes: sample.bytes, signal }
  expect((await asker.trees.fetch(sample.digest, wanted)).whole).toBe(true)
})
