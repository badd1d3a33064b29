/** Files on their way to a node: what its API takes, and what it refuses before room or time is spent on it. */

import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ApiServer } from '../../node/api/server.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { TreeUploads } from '../../node/store/tree-uploads.ts'
import { canonicalBytes, digestOf } from '../../protocol/canonical.ts'
import { encodeTree, type TreeFile } from '../../protocol/data/tree.ts'
import { TREE_API, treeUploadSchema } from '../../protocol/data/upload.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { Client } from '../../sdk/client.ts'
import { readInputs } from '../../sdk/inputs.ts'
import { uploadTree } from '../../sdk/upload.ts'
import { codeOf } from '../mesh/nodes.ts'
import { FakeServices } from './fake-services.ts'

const MiB = 2 ** 20
const signal = new AbortController().signal
let folder: string
let trees: TreeStore
let uploads: TreeUploads
let server: ApiServer
let client: Client

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-upload-'))
  trees = new TreeStore({ folder: join(folder, 'trees'), budgetBytes: 16 * MiB })
  uploads = new TreeUploads({ trees })
  const services = new FakeServices()
  services.beginTree = (digest, description) => uploads.begin(digest, description, signal)
  services.takeChunks = (digest, chunks, bytes) => uploads.take(digest, chunks, bytes)
  server = new ApiServer(
    { services, log: pino({ level: 'silent' }) },
    { port: 0, addressFile: join(folder, 'api.json') },
  )
  client = new Client(await server.start())
})
afterEach(async () => {
  await server.stop()
  uploads.stop()
  rmSync(folder, { recursive: true, force: true })
})

const fileOf = (path: string, bytes: Uint8Array): TreeFile => ({
  path,
  bytes: bytes.length,
  executable: false,
  chunks: createHash('sha256').update(bytes).digest(),
})
const put = (path: string, body: Uint8Array, query: Record<string, string> = {}) =>
  client.request(path, treeUploadSchema, { method: 'PUT', body: new Uint8Array(body), query })
const begin = (description: Uint8Array) => put(TREE_API.tree(digestOf(description)), description)

it('files arrive as they are, and are not sent twice', async () => {
  writeFileSync(
    join(folder, 'big'),
    new Uint8Array(9.5 * MiB).map((_, at) => at + (at >> 20)),
  )
  writeFileSync(join(folder, 'small'), 'small')
  const local = await readInputs([join(folder, 'big'), join(folder, 'small')], folder, { signal })
  if (local === null) throw new Error('files')
  const told: number[] = []
  await uploadTree(client, local, { signal, onProgress: (done) => told.push(done) })
  expect(told).toEqual([8 * MiB, 9.5 * MiB + 5])
  const held = await trees.hold(local.ref.digest, signal)
  expect(held.whole).toBe(true)
  expect(readFileSync(join(held.folder, 'big')).equals(readFileSync(join(folder, 'big')))).toBe(true)
  await uploadTree(client, local, { signal, onProgress: (done) => told.push(done) })
  expect(told).toHaveLength(2)
})

it('a file that changes meanwhile is not sent', async () => {
  writeFileSync(join(folder, 'file'), 'before')
  const local = await readInputs(['file'], folder, { signal })
  if (local === null) throw new Error('files')
  writeFileSync(join(folder, 'file'), 'as long')
  truncateSync(join(folder, 'file'), 6)
  expect(await codeOf(uploadTree(client, local, { signal }))).toBe('E_FILE')
  writeFileSync(join(folder, 'file'), 'longer than before')
  expect(await codeOf(uploadTree(client, local, { signal }))).toBe('E_FILE')
})

it('no description is taken that lies, leads out, or is over the bounds; nothing is written', async () => {
  const one = new Uint8Array(1)
  const lying: [string, unknown, string][] = [
    ['leads out', [fileOf('../x', one)], 'E_TREE'],
    ['is absolute', [fileOf('/etc/cron.d/x', one)], 'E_TREE'],
    ['has a line end', [fileOf('a\nb', one)], 'E_TREE'],
    ['has control characters', [fileOf('a\u001b[2Jb', one)], 'E_TREE'],
    ['differs in case only', [fileOf('A', one), fileOf('a', one)], 'E_TREE'],
    ['lies in a file', [fileOf('a', one), fileOf('a/b', one)], 'E_TREE'],
    ['has a link', [{ ...fileOf('a', one), link: '/etc' }], 'E_TREE'],
    ['has more bytes than digests', [{ ...fileOf('a', one), bytes: 10e9 }], 'E_TREE'],
    ['has 10 GB of digests', [{ ...fileOf('a', one), bytes: 10e9, chunks: new Uint8Array(32 * 9_537) }], 'E_TREE'],
    ['is 1,000,000 files', Array.from({ length: 1_000_000 }, (_, at) => at), 'E_TREE'],
    ['does not fit', [{ ...fileOf('a', one), bytes: 20 * MiB, chunks: new Uint8Array(32 * 20) }], 'E_DISK_BUDGET'],
  ]
  for (const [name, files, code] of lying) {
    expect([name, await codeOf(begin(canonicalBytes({ v: 1, files })))]).toEqual([name, code])
  }
  expect(await codeOf(begin(new Uint8Array(LIMITS.TREE_DESCRIPTION_MAX_BYTES + 1)))).toBe('E_TREE')
  expect(await codeOf(put(TREE_API.tree(digestOf('another')), canonicalBytes({ v: 1, files: [] })))).toBe('E_BLOB')
  expect(await codeOf(put(TREE_API.tree('..%2f..'), one))).toBe('E_REQUEST')
  expect(readdirSync(join(folder, 'trees'))).toEqual([])
})

it('takes no bytes but those of the chunks it was told of', async () => {
  const bytes = new TextEncoder().encode('chunk')
  const { digest, description } = encodeTree({ v: 1, files: [fileOf('a', bytes), fileOf('b', bytes)] })
  const chunks = TREE_API.chunks(digest)
  const send = (body: Uint8Array, first: number, count: number) =>
    codeOf(put(chunks, body, { first: String(first), count: String(count) }))
  expect(await send(bytes, 0, 1)).toBe('E_NOT_FOUND')
  expect((await begin(description)).missing).toEqual([[0, 2]])
  expect(await send(new TextEncoder().encode('shock'), 0, 1)).toBe('E_BLOB')
  expect(await send(bytes.subarray(1), 0, 1)).toBe('E_BLOB')
  expect(await send(new Uint8Array(6), 0, 1)).toBe('E_BLOB')
  expect(await send(bytes, 2, 1)).toBe('E_NOT_FOUND')
  expect(await send(bytes, 0, LIMITS.UPLOAD_CHUNKS_MAX + 1)).toBe('E_REQUEST')
  expect(await send(bytes, -1, 1)).toBe('E_REQUEST')
  expect((await put(chunks, bytes, { first: '1', count: '1' })).missing).toEqual([[0, 1]])
  expect((await put(chunks, bytes, { first: '0', count: '1' })).missing).toEqual([])
})

it('room is kept for what is on its way, until too much is', async () => {
  const of = (at: number) => encodeTree({ v: 1, files: [fileOf(`f${at}`, new Uint8Array(at + 1))] })
  const first = of(0)
  await begin(first.description)
  for (let at = 1; at < LIMITS.UPLOADS_MAX; at++) await begin(of(at).description)
  const query = { first: '0', count: '1' }
  await put(TREE_API.chunks(first.digest), new Uint8Array(1), query)
  // The one longest not sent to makes room.
  await begin(of(LIMITS.UPLOADS_MAX).description)
  expect(await codeOf(put(TREE_API.chunks(of(1).digest), new Uint8Array(2), query))).toBe('E_NOT_FOUND')
  await put(TREE_API.chunks(first.digest), new Uint8Array(1), query)
  const large = encodeTree({
    v: 1,
    files: [{ ...fileOf('large', new Uint8Array()), bytes: 15 * MiB + 9e5, chunks: new Uint8Array(32 * 16) }],
  })
  expect(await codeOf(begin(large.description))).toBe('E_DISK_TAKEN')
})
