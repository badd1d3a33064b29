/** Units that find files of their point: what a worker asks for, when, and what it says of files that do not come. */

import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { FetchTree } from '../../node/worker/inputs.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import {
  CHUNK_DIGEST_BYTES,
  chunksOf,
  encodeTree,
  inOrder,
  type TreeFile,
  treeBytes,
} from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'
import { newSigner, type SignedJob, Submitter, signJob } from './submitter.ts'
import { Workshop } from './workshop.ts'

const UNITS = 31
const textOf = (path: string): Buffer => Buffer.from(`this is ${path}`)
const file = (path: string): TreeFile => {
  const text = textOf(path)
  const chunks = new Uint8Array(createHash('sha256').update(text).digest())
  return { path, bytes: text.length, executable: false, chunks }
}
const large = LIMITS.POINT_INPUTS_WHOLE_MAX_BYTES
/** With what nobody asks for, and so nobody has. */
const rest = {
  path: 'rest',
  bytes: large,
  executable: false,
  chunks: new Uint8Array(chunksOf(large) * CHUNK_DIGEST_BYTES),
}
const tree = { v: 1, files: inOrder([rest, ...Array.from({ length: UNITS }, (_, n) => file(`${n}.txt`))]) } as const
const { digest, description } = encodeTree(tree)
const source = encodeProgram({
  ...{ v: 1, argv: ['cat', '{n}.txt'], env: {}, stdin: null, inputs: null },
  pointInputs: { tree: { digest, bytes: treeBytes(tree) }, names: ['{n}.txt'] },
})

let shop: Workshop
beforeAll(async () => {
  shop = await Workshop.open()
  shop.sources.set(digestOf(source), source)
})
afterEach(() => shop.stopWorkers())
afterAll(() => shop.close())

const signer = await newSigner()
const task = { runtime: 'command', digest: digestOf(source), bytes: Buffer.byteLength(source) } as const
const job = (): Promise<SignedJob> => signJob(signer, source, {}, { task })

/** A worker that gets what it asks for, unless `fails`; what that was, and how much it holds. */
async function workerAsking(fails: (path: string) => TalkootError | null = () => null) {
  const asked: string[] = []
  const described: string[] = []
  const seen = { held: 0, most: 0 }
  const fetchTree: FetchTree = async (_, { digest: wanted }, { part, signal }) => {
    const [only] = part?.tree.files ?? []
    if (part === undefined || only === undefined) throw new Error('all of it was asked for')
    expect([part.of, part.digest, part.tree.files.length]).toEqual([digest, wanted, 1])
    asked.push(only.path)
    const fault = fails(only.path)
    if (fault !== null) throw fault
    const tree = await shop.trees.begin(part.description, signal)
    if (!tree.whole) await tree.write(0, textOf(only.path))
    seen.held += 1
    seen.most = Math.max(seen.most, seen.held)
    const release = (): void => {
      seen.held -= 1
      tree.release()
    }
    return { ...tree, whole: true, release }
  }
  const describeTree = async (_: string, name: string) => {
    described.push(name)
    return description
  }
  const worker = await shop.worker({ slots: 1 }, undefined, fetchTree, describeTree)
  return { worker, asked, described, seen }
}

it('are fetched for units that are here, in their order and few at once, and let go of when these have ended', async () => {
  const { worker, asked, described, seen } = await workerAsking()
  const submitter = new Submitter(worker, signer)
  const signed = await job()
  await submitter.introduce(signed)
  await until(() => submitter.of('accept').length === 1)
  expect([asked, described]).toEqual([[], [digest]])
  await submitter.run(signed, UNITS - 1)
  await until(() => submitter.attempts.length === UNITS - 1)
  const said = submitter.attempts.map((attempt) => [attempt.unit, attempt.ok && JSON.parse(attempt.value).stdout])
  expect(new Map(said as [number, string][])).toEqual(
    new Map(Array.from({ length: UNITS - 1 }, (_, n) => [n, `this is ${n}.txt`])),
  )
  expect(asked).toEqual(Array.from({ length: UNITS - 1 }, (_, n) => `${n}.txt`))
  await until(() => seen.held === 0)
  // Of those that wait, and as many that were taken to run, one after the other.
  expect(seen.most).toBeLessThanOrEqual(2 * (1 + LIMITS.POINT_INPUTS_AHEAD_UNITS))
})

it('of whom the owner runs no programs for, nothing is asked', async () => {
  const { worker, asked, described } = await workerAsking()
  const submitter = new Submitter(worker, signer, { role: 'stranger' })
  const signed = await job()
  await submitter.introduce(signed)
  expect(await submitter.refused(signed.id)).toMatchObject({ code: 'E_NATIVE_UNTRUSTED' })
  expect([asked, described]).toEqual([[], []])
})

it('that do not come send their unit back; one whose parameters name none fails; the others run', async () => {
  const fails = (path: string) => (path === '1.txt' ? new TalkootError('E_TREE_SOURCE', 'nobody has it') : null)
  const { worker } = await workerAsking(fails)
  const submitter = new Submitter(worker, signer)
  const signed = await job()
  await submitter.introduce(signed)
  const units: [number, string][] = [
    [0, '{"n":0}'],
    [1, '{"n":1}'],
    [2, '{"m":2}'],
    [3, '{"n":3}'],
  ]
  await submitter.say({ t: 'run', job: signed.id, units })
  await until(() => submitter.attempts.length === 3 && submitter.of('handback').length === 1)
  expect(submitter.of('handback')).toMatchObject([{ units: [1], code: 'E_TREE_SOURCE' }])
  const ends = submitter.attempts.map((attempt) => [attempt.unit, attempt.ok ? 'ok' : attempt.code])
  expect(new Map(ends as [number, string][])).toEqual(
    new Map([
      [0, 'ok'],
      [2, 'E_INPUT'],
      [3, 'ok'],
    ]),
  )
})
