/** Nodes that keep trees in folders of their own, and trees of chosen bytes. */

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { MeshNode } from '../../node/mesh/create.ts'
import { TreeExchange } from '../../node/mesh/trees/tree-exchange.ts'
import { type HeldTree, TreeStore } from '../../node/store/tree-store.ts'
import type { Digest } from '../../protocol/canonical.ts'
import { encodeTree } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { startMember, startNode } from './nodes.ts'

const MiB = 2 ** 20
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-transfer-'))
  folders.push(folder)
  return folder
}

export type TreeNode = { node: MeshNode; store: TreeStore; trees: TreeExchange<HeldTree>; folder: string }

type Keeping = {
  budgetBytes?: number
  /** With trees from an earlier life. */
  folder?: string
  now?: () => number
  /** What it does instead with what it keeps. */
  corrupt?: (held: HeldTree) => Partial<HeldTree>
}

/** One exchange a node serves. @default true */
type Serving = { serves?: boolean }

export function withTrees(node: MeshNode, { serves = true, ...keeping }: Keeping & Serving = {}): TreeNode {
  const mesh = {
    peerId: node.peerId,
    open: node.open.bind(node),
    meet: node.meet.bind(node),
    serve: serves ? node.serve.bind(node) : () => undefined,
  }
  return { node, ...keepTrees(mesh, keeping) }
}

export function keepTrees(
  mesh: ConstructorParameters<typeof TreeExchange>[0]['mesh'],
  {
    budgetBytes = 256 * MiB,
    folder = freshFolder(),
    now = () => performance.now(),
    corrupt = () => ({}),
  }: Keeping = {},
) {
  const store = new TreeStore({ folder, budgetBytes })
  const kept = {
    has: (digest: Digest) => store.has(digest),
    hold: async (digest: Digest, signal: AbortSignal) => corrupted(await store.hold(digest, signal), corrupt),
    begin: (description: Uint8Array, signal: AbortSignal) => store.begin(description, signal),
  }
  return { store, trees: new TreeExchange<HeldTree>({ mesh, trees: kept, now, random: Math.random }), folder }
}

/** `whole` is asked for when it is needed. */
function corrupted(held: HeldTree, corrupt: (held: HeldTree) => Partial<HeldTree>): HeldTree {
  return Object.defineProperties(held, Object.getOwnPropertyDescriptors(corrupt(held)))
}

/** The first is the founder, whom all others know; they come to know each other through it. */
export async function startTreeNodes(count: 2): Promise<[TreeNode, TreeNode]>
export async function startTreeNodes(count: 3): Promise<[TreeNode, TreeNode, TreeNode]>
export async function startTreeNodes(count: number): Promise<[TreeNode, ...TreeNode[]]>
export async function startTreeNodes(count: number): Promise<TreeNode[]> {
  const founder = await startNode()
  const members = await Promise.all(Array.from({ length: count - 1 }, () => startMember(founder)))
  return [founder, ...members].map((node) => withTrees(node))
}

/** A tree of one file of so many bytes, and its chunks. */
export type Sample = { digest: Digest; description: Uint8Array; bytes: number; chunks: Uint8Array[] }

export function sampleTree(bytes: number, seed = 1): Sample {
  const data = new Uint8Array(bytes)
  const words = new Uint32Array(data.buffer, 0, bytes >> 2)
  for (let at = 0, word = seed; at < words.length; at++) {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + at
    words[at] = word
  }
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes; at += LIMITS.TREE_CHUNK_BYTES) {
    chunks.push(data.subarray(at, at + LIMITS.TREE_CHUNK_BYTES))
  }
  const digests = Buffer.concat(chunks.map((chunk) => createHash('sha256').update(chunk).digest()))
  const file = { path: 'data.bin', bytes, executable: false, chunks: new Uint8Array(digests) }
  return { ...encodeTree({ v: 1, files: [file] }), bytes, chunks }
}

/** Puts the tree, or some chunks of it, where the node keeps its own. */
export async function plant(
  { store }: Pick<TreeNode, 'store'>,
  { description, chunks }: Sample,
  which: (chunk: number) => boolean = () => true,
): Promise<void> {
  const held = await store.begin(description, new AbortController().signal)
  for (const [chunk, bytes] of chunks.entries()) if (which(chunk)) await held.write(chunk, bytes)
  held.release()
}
