/** Trees over real connections: from one and from many, shared, resumed, and with peers that die, stall or lie. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { deadline, sees, until } from './nodes.ts'
import { plant, sampleTree, startTreeNodes } from './tree-nodes.ts'

const MiB = 2 ** 20
const SAMPLE = sampleTree(24.5 * MiB)
const { digest, bytes } = SAMPLE

test('a tree comes whole from one peer, and all others get most of it from each other', async () => {
  const [source, ...others] = await startTreeNodes(5)
  if (source === undefined) throw new Error('no source')
  await until(() => others.every(({ node }) => node.peers().length === 4))
  await plant(source, SAMPLE)
  const seen: number[] = []
  const from = [source.node.peerId]
  const held = await Promise.all(
    others.map(({ trees }, at) =>
      trees.fetch(digest, {
        from,
        maxBytes: bytes,
        signal: deadline(30_000),
        ...(at === 0 && { onProgress: (progress) => seen.push(progress.bytes) }),
      }),
    ),
  )
  for (const { folder, whole } of held) {
    expect(whole).toBe(true)
    expect(readFileSync(join(folder, 'data.bin')).equals(Buffer.concat(SAMPLE.chunks))).toBe(true)
  }
  expect(seen.at(-1)).toBe(bytes)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  console.warn(
    source.trees.traffic,
    others.map(({ trees }) => trees.traffic),
  )
  expect(source.trees.traffic.sent).toBeLessThan(2 * bytes)
  for (const tree of held) tree.release()
  expect(sees(source.node, { peerId: others[0]?.node.peerId ?? '' })).toBe(true)
})
