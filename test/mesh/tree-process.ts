/**
 * A node that keeps trees, in a process of its own: its folder, the address it listens on, and a token to join with (none: it
 * founds the mesh). Obeys each line of its input, and answers it with a line of JSON.
 */

import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createMesh } from '../../node/mesh/create.ts'
import { TreeExchange } from '../../node/mesh/trees/tree-exchange.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { encodeTree } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { AD } from './ad.ts'
import { memoryMeshStore } from './memory-store.ts'

export type Order =
  | { do: 'token' }
  /** Makes a tree of one file. */
  | { do: 'plant'; chunks: number; seed: number }
  | { do: 'fetch'; digest: string; from: string[]; bytes: number }
  /** Small frames to a peer and back, until this node has fetched what it fetches. */
  | { do: 'echo'; peer: string }
  | { do: 'facts' }
/** Milliseconds. */
export type Echoes = { p50: number; p99: number }
export type Facts = { peers: number; sent: number; received: number; peakMiB: number; got: number }

const FOREVER = new AbortController().signal
const TTL_MS = 3_600_000
const ECHO = '/test/echo/1'
/** The pace of results of short units: what a fetch does to them is measured, not what they do to it. */
const ECHO_EVERY_MS = 20
const UNITS_BYTES = 2_000

const [folder = '', listen = '', token] = process.argv.slice(2)
const mesh = await createMesh({ store: memoryMeshStore() }, { describe: () => AD, listen: [listen], mdns: false })
const store = new TreeStore({ folder, budgetBytes: 2 ** 30 })
const trees = new TreeExchange({ mesh, trees: store, now: () => performance.now(), random: Math.random })
mesh.serve(ECHO, async (channel) => {
  for await (const frame of channel) await channel.send(frame)
})
let got = 0
let fetching = false
await mesh.start()
if (token !== undefined) await mesh.join(token, AbortSignal.timeout(60_000))
say({ peerId: mesh.peerId })
for await (const line of createInterface({ input: process.stdin })) {
  const { id, order }: { id: number; order: Order } = JSON.parse(line)
  // Facts are asked for while a fetch goes on.
  void obey(order).then((answer) => say({ id, answer }))
}
process.exit()

async function obey(order: Order): Promise<object> {
  if (order.do === 'token') return { token: mesh.createToken({ uses: 100, ttlMs: TTL_MS, role: 'member' }).text }
  if (order.do === 'plant') return await plant(order.chunks, order.seed)
  if (order.do === 'facts') return facts()
  if (order.do === 'echo') return await echo(order.peer)
  fetching = true
  const began = performance.now()
  const onProgress = ({ bytes }: { bytes: number }) => {
    got = bytes
  }
  const { digest, from, bytes: maxBytes } = order
  const held = await trees.fetch(digest, { from, maxBytes, signal: FOREVER, onProgress })
  held.release()
  fetching = false
  return { ms: performance.now() - began }
}

async function echo(peer: string): Promise<Echoes> {
  const channel = await mesh.open(peer, ECHO, FOREVER)
  const answers = channel[Symbol.asyncIterator]()
  const took: number[] = []
  while (fetching) {
    const began = performance.now()
    await channel.send(new Uint8Array(UNITS_BYTES))
    await answers.next()
    took.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, ECHO_EVERY_MS))
  }
  await channel.close()
  took.sort((a, b) => a - b)
  const at = (part: number) => took[Math.floor(took.length * part)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}

function facts(): Facts {
  const status = readFileSync('/proc/self/status', 'utf8')
  const peakMiB = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024
  return { peers: mesh.peers().length, ...trees.traffic, peakMiB, got }
}

async function plant(chunks: number, seed: number): Promise<object> {
  const digests = Buffer.alloc(chunks * 32)
  for (let at = 0; at < chunks; at++)
    createHash('sha256')
      .update(chunkOf(at, seed))
      .digest()
      .copy(digests, at * 32)
  const bytes = chunks * LIMITS.TREE_CHUNK_BYTES
  const file = { path: 'data.bin', bytes, executable: false, chunks: new Uint8Array(digests) }
  const { digest, description } = encodeTree({ v: 1, files: [file] })
  const held = await store.begin(description, FOREVER)
  for (let at = 0; at < chunks; at++) await held.write(at, chunkOf(at, seed))
  held.release()
  // Memory is measured from here on: proc(5), clear_refs.
  writeFileSync('/proc/self/clear_refs', '5')
  return { digest, bytes }
}

function chunkOf(at: number, seed: number): Uint8Array {
  const words = new Uint32Array(LIMITS.TREE_CHUNK_BYTES / 4)
  for (let place = 0, word = seed + at; place < words.length; place++) {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + place
    words[place] = word
  }
  return new Uint8Array(words.buffer)
}

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
