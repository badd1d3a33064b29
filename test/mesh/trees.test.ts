/** Trees over real connections: from one and from many, shared, resumed, and with peers that die, stall or lie. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HeldTree } from '../../node/store/tree-store.ts'
import { encodeTree } from '../../protocol/data/tree.ts'
import { codeOf, deadline, HOUR_MS, startMember, startNode, until } from './nodes.ts'
import { freshFolder, plant, sampleTree, startTreeNodes, type TreeNode, withTrees } from './tree-nodes.ts'
import type { Order } from './tree-process.ts'
import { TreeProcess } from './tree-processes.ts'

const MiB = 2 ** 20
const SAMPLE = sampleTree(16.5 * MiB)
const { digest, bytes } = SAMPLE
const CHUNKS = SAMPLE.chunks.length

const fetch = ({ trees }: TreeNode, from: readonly TreeNode[], signal = deadline(200_000)): Promise<HeldTree> =>
  trees.fetch(digest, { from: from.map(({ node }) => node.peerId), maxBytes: bytes, signal })

function expectAll({ folder, whole }: HeldTree): void {
  expect(whole).toBe(true)
  expect(readFileSync(join(folder, 'data.bin')).equals(Buffer.concat(SAMPLE.chunks))).toBe(true)
}

/** A promise for the first progress over so many bytes, and what to give `fetch`. */
function progressOver(enough: number) {
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  return { reached, onProgress: ({ bytes: got }: { bytes: number }) => got >= enough && resolve() }
}

test('all who want a tree get it mostly from each other; the source sends less than two copies', async () => {
  const [source, ...others] = await startTreeNodes(5)
  await until(() => others.every(({ node }) => node.peers().length === 4))
  await plant(source, SAMPLE)
  const held = await Promise.all(others.map((node) => fetch(node, [source])))
  for (const tree of held) expectAll(tree)
  expect(source.trees.traffic.sent).toBeLessThan(2 * bytes)
  for (const { trees } of others) expect(trees.traffic.received).toBe(bytes)
  const given = others.reduce((sum, { trees }) => sum + trees.traffic.sent, source.trees.traffic.sent)
  expect(given).toBeGreaterThanOrEqual(4 * bytes)
})

test('two fetches of one tree at one node share one transfer, and either may leave it', async () => {
  const [source, asker] = await startTreeNodes(2)
  await plant(source, SAMPLE)
  const leaving = new AbortController()
  const seen: number[] = []
  const wanted = { from: [source.node.peerId], maxBytes: bytes }
  const left = asker.trees.fetch(digest, {
    ...wanted,
    signal: leaving.signal,
    onProgress: () => leaving.abort(),
  })
  const stayed = asker.trees.fetch(digest, {
    ...wanted,
    signal: deadline(200_000),
    onProgress: (progress) => seen.push(progress.bytes),
  })
  expect(await codeOf(left)).toBe('E_UNREACHABLE')
  expectAll(await stayed)
  expect(asker.trees.traffic.received).toBe(bytes)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  expect(seen.at(-1)).toBe(bytes)
  // What is here is not fetched again, whoever is named.
  expectAll(await fetch(asker, []))
  expect(asker.trees.traffic.received).toBe(bytes)
})

test('a fetch that everybody has left stops, and the next goes on from what had come', async () => {
  const [source, asker] = await startTreeNodes(2)
  await plant(source, SAMPLE)
  const leaving = new AbortController()
  const { reached, onProgress } = progressOver(5 * MiB)
  const wanted = { from: [source.node.peerId], maxBytes: bytes, signal: leaving.signal, onProgress }
  const left = codeOf(asker.trees.fetch(digest, wanted))
  await reached
  leaving.abort()
  expect(await left).toBe('E_UNREACHABLE')
  const { received } = asker.trees.traffic
  expect(received).toBeLessThan(bytes)
  expectAll(await fetch(asker, [source]))
  // What was being written when it stopped may have come twice.
  expect(asker.trees.traffic.received).toBeLessThanOrEqual(bytes + 2 * MiB)
  const again = withTrees(asker.node, { folder: asker.folder, serves: false })
  expectAll(await fetch(again, []))
})

test('a process that is killed in mid-transfer goes on with what had come', async () => {
  const admin = await startNode()
  const { promise: killed, resolve: kill } = Promise.withResolvers<void>()
  let given = 0
  const corrupt = ({ read }: HeldTree) => ({
    read: async (chunk: number) => {
      if (given++ >= 8) await killed
      return await read(chunk)
    },
  })
  await plant(withTrees(admin, { corrupt }), SAMPLE)
  const folder = freshFolder()
  const start = () => {
    const { text } = admin.createToken({ uses: 1, ttlMs: HOUR_MS, role: 'member' })
    return new TreeProcess(folder, { address: '127.0.0.1' }, text)
  }
  const order: Order = { do: 'fetch', digest, from: [admin.peerId], bytes }
  const first = start()
  onTestFinished(() => first.end())
  void first.obey(order)
  // Eight chunks; the last of the tree, which is half of one, may be among them.
  let kept = 0
  await until(async () => {
    kept = (await first.facts()).received
    return kept > 7 * MiB
  })
  await first.end()
  kill()
  const second = start()
  onTestFinished(() => second.end())
  await second.obey(order)
  expect((await second.facts()).received).toBe(bytes - kept)
})

test('a wrong chunk is refused, blamed and fetched elsewhere, and its sender not asked again', async () => {
  const admin = await startNode()
  const wrong = { read: async (chunk: number) => new Uint8Array(SAMPLE.chunks[chunk]?.length ?? 0) }
  const source = withTrees(admin)
  const liar = withTrees(await startMember(admin), { corrupt: () => wrong })
  const asker = withTrees(await startMember(admin))
  await until(() => asker.node.peers().length === 2)
  await plant(source, SAMPLE)
  await plant(liar, SAMPLE)
  // Of the liar alone it is not to be had.
  const alone = withTrees(asker.node, { serves: false })
  expect(await codeOf(fetch(alone, [liar]))).toBe('E_TREE_SOURCE')
  expectAll(await fetch(asker, [liar, source]))
  const refusals = asker.node.refusals().filter(({ peer }) => peer === liar.node.peerId)
  expect(refusals).toMatchObject([{ code: 'E_BLOB', by: 'ours', count: 2 }])
  // Nothing else between the two is at stake.
  expect(asker.node.peers()).toHaveLength(2)
})

test('when a holder dies, or says nothing any more, the others give what it owed', async () => {
  const admin = await startNode()
  const source = withTrees(admin)
  const dying = withTrees(await startMember(admin))
  const stuck = withTrees(await startMember(admin), {
    corrupt: () => ({ read: () => new Promise<never>(() => undefined) }),
  })
  // Time flies, so that a stall is noticed soon.
  const asker = withTrees(await startMember(admin), { now: () => performance.now() * 20 })
  await until(() => asker.node.peers().length === 3)
  for (const node of [dying, stuck]) await plant(node, SAMPLE, (chunk) => chunk % 2 === 0)
  await plant(source, SAMPLE)
  const { reached, onProgress } = progressOver(1)
  const from = [dying, stuck, source].map(({ node }) => node.peerId)
  const fetched = asker.trees.fetch(digest, { from, maxBytes: bytes, signal: deadline(200_000), onProgress })
  await reached
  await dying.node.stop()
  expectAll(await fetched)
  expect(asker.trees.traffic.received).toBe(bytes)
})

test('a peer that has part of a tree gives that, and what comes to it meanwhile', async () => {
  const [first, second, asker] = await startTreeNodes(3)
  await until(() => [second, asker].every(({ node }) => node.peers().length === 2))
  await plant(first, SAMPLE, (chunk) => chunk < CHUNKS / 2)
  await plant(second, SAMPLE, (chunk) => chunk >= CHUNKS / 2)
  const [one, two] = await Promise.all([fetch(asker, [first, second]), fetch(first, [second])])
  expectAll(one)
  expectAll(two)
})

test('what is too large, is no tree, is not there, or does not fit is refused with its code', async () => {
  const [source, asker] = await startTreeNodes(2)
  await plant(source, SAMPLE)
  const from = [source.node.peerId]
  const signal = deadline(200_000)
  expect(await codeOf(asker.trees.fetch(digest, { from, maxBytes: bytes - 1, signal }))).toBe('E_TREE')
  expect(asker.store.has(digest)).toBe(false)
  expect(await codeOf(asker.trees.fetch(sampleTree(1).digest, { from, maxBytes: bytes, signal }))).toBe('E_TREE_SOURCE')
  expect(await codeOf(asker.trees.fetch(digest, { from: [], maxBytes: bytes, signal }))).toBe('E_TREE_SOURCE')
  const small = withTrees(asker.node, { budgetBytes: MiB, serves: false })
  expect(await codeOf(fetch(small, [source]))).toBe('E_DISK_BUDGET')
  expect(await codeOf(fetch(asker, [source], AbortSignal.abort(new Error('no'))))).not.toBe('no error')
})

test('a tree without chunks is fetched too', async () => {
  const [source, asker] = await startTreeNodes(2)
  const empty = encodeTree({ v: 1, files: [{ path: 'empty', bytes: 0, executable: false, chunks: new Uint8Array() }] })
  await plant(source, { ...empty, bytes: 0, chunks: [] })
  const held = await asker.trees.fetch(empty.digest, { from: [source.node.peerId], maxBytes: 0, signal: deadline() })
  expect(readFileSync(join(held.folder, 'empty'))).toHaveLength(0)
})
