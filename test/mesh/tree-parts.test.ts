/** Parts of a tree: fetched from who has the whole, and from who has that part; nothing else of the tree travels. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { toHolderSchema } from '../../node/mesh/trees/messages.ts'
import { partOf } from '../../protocol/data/point-inputs.ts'
import { decodeTree, encodeTree, type TreeFile, treeBytes } from '../../protocol/data/tree.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, until } from './nodes.ts'
import { plant, type Sample, sampleTree, startTreeNodes, type TreeNode } from './tree-nodes.ts'

const MiB = 2 ** 20
const NAMES = ['a.csv', 'b/deep/one', 'b/deep/two', 'b/three', 'c.csv', 'empty']
const SIZES = [MiB + 5, 3, 2 * MiB, 100, 70_000, 0]

/** A tree of these files. */
function manyFiles(): Sample {
  const files: TreeFile[] = []
  const chunks: Uint8Array[] = []
  for (const [at, path] of NAMES.entries()) {
    const sample = sampleTree(SIZES[at] ?? 0, at + 1)
    const [file] = decodeTree(sample.description).files
    if (file !== undefined) files.push({ ...file, path })
    chunks.push(...sample.chunks)
  }
  const tree = { v: 1, files } as const
  return { ...encodeTree(tree), bytes: treeBytes(tree), chunks }
}

const WHOLE = manyFiles()
const TREE = decodeTree(WHOLE.description)
const part = (...names: string[]) => partOf(WHOLE.digest, TREE, names)

const fetchPart = ({ trees }: TreeNode, names: string[], from: readonly TreeNode[]) =>
  trees.fetch(part(...names).digest, {
    from: from.map(({ node }) => node.peerId),
    maxBytes: WHOLE.bytes,
    signal: deadline(60_000),
    part: part(...names),
  })

test('names stand for a file or all of a folder; what the tree does not have stands for nothing', () => {
  const paths = (...names: string[]) => part(...names).tree.files.map(({ path }) => path)
  expect(paths('a.csv')).toEqual(['a.csv'])
  expect(paths('b')).toEqual(['b/deep/one', 'b/deep/two', 'b/three'])
  expect(paths('c.csv', 'b/deep', 'c.csv')).toEqual(['b/deep/one', 'b/deep/two', 'c.csv'])
  expect(paths('a', 'b/', '', 'z', '../a.csv')).toEqual([])
})

test('a part comes from who has the whole, then from who has the part, and nothing else does', async () => {
  const [source, first, second] = await startTreeNodes(3)
  await until(() => [first, second].every(({ node }) => node.peers().length === 2))
  await plant(source, WHOLE)
  const held = await fetchPart(first, ['b', 'empty'], [source])
  const bytes = 2 * MiB + 103
  expect([held.whole, first.trees.traffic.received, first.store.has(WHOLE.digest)]).toEqual([true, bytes, false])
  expect(readdirSync(held.folder).sort()).toEqual(['b', 'empty'])
  expect(readFileSync(join(held.folder, 'b/deep/two')).equals(Buffer.concat(sampleTree(2 * MiB, 3).chunks))).toBe(true)
  await fetchPart(second, ['b', 'empty'], [first])
  expect([second.trees.traffic.received, first.trees.traffic.sent]).toEqual([bytes, bytes])
  expect(source.trees.traffic.sent).toBe(bytes)
  await fetchPart(second, ['a.csv'], [source])
  expect(second.trees.traffic.received).toBe(bytes + MiB + 5)
})

test('the description of the whole comes alone', async () => {
  const [source, asker] = await startTreeNodes(2)
  await plant(source, WHOLE)
  const description = await asker.trees.describe(WHOLE.digest, source.node.peerId, deadline())
  expect(Buffer.from(description).equals(WHOLE.description)).toBe(true)
  expect([asker.trees.traffic.received, asker.store.digests()]).toEqual([0, []])
})

test('names that are not of that digest, or of a tree that is not there, give nothing', async () => {
  const [source, asker] = await startTreeNodes(2)
  await plant(source, WHOLE)
  const wanted = { from: [source.node.peerId], maxBytes: WHOLE.bytes, signal: deadline(60_000) }
  const [a, c] = [part('a.csv'), part('c.csv')]
  expect(await codeOf(asker.trees.fetch(a.digest, { ...wanted, part: { ...a, names: c.names } }))).toBe('E_TREE_SOURCE')
  expect(await codeOf(asker.trees.fetch(c.digest, { ...wanted, part: { ...c, of: a.digest } }))).toBe('E_TREE_SOURCE')
  expect(source.trees.traffic.sent).toBe(0)
})

test('more names than a task may have are refused', () => {
  const names = Array.from({ length: LIMITS.POINT_INPUT_NAMES_MAX + 1 }, (_, at) => `f${at}`)
  const open = { t: 'open', digest: WHOLE.digest, part: { of: WHOLE.digest, names } }
  expect(() => decodeFrame(toHolderSchema, encodeFrame(open))).toThrow(expect.objectContaining({ code: 'E_FRAME' }))
})
