/** Peers that break the protocol of trees, ask for too much, or take places they do not use. */

import { expect, test } from 'vitest'
import type { Channel } from '../../node/mesh/mesh.ts'
import { BITMAP_MAX_BYTES, Bitmap } from '../../node/mesh/trees/bitmap.ts'
import {
  decodePiece,
  encodePiece,
  type Piece,
  type ToAsker,
  type ToHolder,
  toAskerSchema,
  toHolderSchema,
} from '../../node/mesh/trees/messages.ts'
import { encodeTree } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { deadline } from './nodes.ts'
import { keepTrees, plant, sampleTree } from './tree-nodes.ts'
import { Stage } from './tree-stage.ts'

const MiB = 2 ** 20
const SAMPLE = sampleTree(6.5 * MiB)
const { digest, bytes } = SAMPLE
const CHUNKS = SAMPLE.chunks.length

const say = (channel: Channel, message: ToHolder | ToAsker | object) => channel.send(encodeFrame(message))

/** What comes next, a piece or any other message; the code the channel ended with; or nothing for a clean end. */
async function next(messages: AsyncIterator<Uint8Array>): Promise<Piece | ToAsker | string | undefined> {
  try {
    const { done, value } = await messages.next()
    return done === true ? undefined : (decodePiece(value) ?? decodeFrame(toAskerSchema, value))
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

async function open(stage: Stage, from: string, first: object = { t: 'open', digest }) {
  const channel = await stage.open(from, 'source')
  const messages = channel[Symbol.asyncIterator]()
  await say(channel, first)
  return { channel, messages, answer: await next(messages) }
}

async function stageSource(now?: () => number): Promise<Stage> {
  const stage = new Stage()
  await plant(keepTrees(stage.mesh('source'), now === undefined ? {} : { now }), SAMPLE)
  return stage
}

const fetchAs = ({ trees }: ReturnType<typeof keepTrees>, from: string[]) =>
  trees.fetch(digest, { from, maxBytes: bytes, signal: deadline() })

const HAVE = { t: 'have', bitmap: new Bitmap(CHUNKS).bytes }

test('an asker that breaks the protocol or asks for too much is refused for it', async () => {
  const stage = await stageSource()
  const many = Array.from({ length: LIMITS.TREE_ASKS_PER_HOLDER + 1 }, (_, at) => at)
  const cases: [string, object[]][] = [
    ['E_FRAME', [{ t: 'ask', chunks: [0] }]],
    ['E_FRAME', [{ t: 'have', bitmap: new Uint8Array(2) }]],
    ['E_FRAME', [{ t: 'have', bitmap: Uint8Array.of(0xff) }]],
    ['E_FRAME', [HAVE, HAVE]],
    ['E_FRAME', [HAVE, { t: 'open', digest }]],
    ['E_FRAME', [HAVE, { t: 'ask', chunks: [BITMAP_MAX_BYTES * 8] }]],
    ['E_FRAME', [HAVE, { t: 'ask', chunks: many }]],
    ['E_FRAME', [HAVE, { t: 'taken', chunks: Array(LIMITS.TREE_CHUNKS_TOLD_MAX + 1).fill(0) }]],
    ['E_FLOOD', Array.from({ length: 4 }, (_, at) => (at === 0 ? HAVE : { t: 'any', count: many.length - 1 }))],
  ]
  for (const [code, messages] of cases) {
    const { channel, messages: answers } = await open(stage, 'rogue')
    await Promise.allSettled(messages.map((message) => say(channel, message)))
    let end = await next(answers)
    while (typeof end === 'object') end = await next(answers)
    expect([messages, end]).toEqual([messages, code])
  }
  const asker = keepTrees(stage.mesh('asker'))
  expect((await fetchAs(asker, ['source'])).whole).toBe(true)
})

/** Answers as a holder of all of it would, unless the lie is an answer. */
type Lie = (channel: Channel, asked: ToHolder) => Promise<unknown>

async function pretend(channel: Channel, lie: Lie): Promise<void> {
  for await (const frame of channel) {
    const message = decodeFrame(toHolderSchema, frame)
    if (message.t === 'describe') await say(channel, { t: 'description', bytes: SAMPLE.description, last: true })
    else if ((await lie(channel, message)) === undefined && message.t === 'open') {
      await say(channel, { t: 'has', bitmap: null })
    }
  }
}

const pieces = (channel: Channel, ...list: Piece[]) =>
  Promise.all(list.map((piece) => channel.send(encodePiece(piece)))).then(() => undefined)
const part = (chunk: number, at: number, length: number): Piece => ({
  chunk,
  at,
  bytes: SAMPLE.chunks[chunk]?.slice(at, at + length) ?? new Uint8Array(length),
})
const whenAsked =
  (lie: (channel: Channel) => Promise<void>) =>
  async (channel: Channel, { t }: ToHolder) =>
    t === 'any' || t === 'ask' ? lie(channel) : undefined

test('a holder that lies in any way is left at once, and the tree comes from another', async () => {
  const stage = await stageSource()
  const KiB = 1_024
  const lies: Record<string, Lie> = {
    'a chunk that is not there': whenAsked((to) => pieces(to, part(CHUNKS, 0, KiB))),
    'a chunk from its middle': whenAsked((to) => pieces(to, part(0, KiB, KiB))),
    'a piece twice': whenAsked((to) => pieces(to, part(0, 0, KiB), part(0, 0, KiB))),
    'two chunks in turn': whenAsked((to) => pieces(to, part(0, 0, KiB), part(1, 0, KiB))),
    'more than the chunk': whenAsked((to) => pieces(to, ...[0, KiB].map((at) => part(CHUNKS - 1, at, 512 * KiB)))),
    'a chunk it was not asked for': async (to, { t }) => {
      if (t !== 'open') return undefined
      await say(to, { t: 'has', bitmap: new Bitmap(CHUNKS).bytes })
      await pieces(to, part(0, 0, KiB))
      return true
    },
    'a set of other chunks': async (to, { t }) =>
      t === 'have' ? say(to, { t: 'has', bitmap: new Uint8Array(9) }) : undefined,
    'what it has twice': async (to, { t }) => (t === 'have' ? say(to, { t: 'has', bitmap: null }) : undefined),
    'news of no chunk': whenAsked((to) => say(to, { t: 'more', chunks: [CHUNKS] })),
    'that it is busy, now': whenAsked((to) => say(to, { t: 'description', bytes: new Uint8Array(), last: true })),
  }
  for (const [lie, tell] of Object.entries(lies)) {
    const end = Promise.withResolvers<unknown>()
    stage.serve('liar', (channel) =>
      pretend(channel, tell).catch((error: unknown) => end.resolve(error instanceof TalkootError && error.code)),
    )
    const held = await fetchAs(keepTrees(stage.mesh('asker')), ['liar', 'source'])
    expect(held.whole, lie).toBe(true)
    expect([lie, await end.promise]).toEqual([lie, 'E_FRAME'])
  }
})

test('there are so many places for askers; who finds none is told who else has the tree; idle ones are taken back', async () => {
  let laterMs = 0
  const stage = await stageSource(() => performance.now() + laterMs)
  const uploads = []
  for (let place = 0; place < LIMITS.TREE_UPLOADS_PER_PEER_MAX; place++) uploads.push(await open(stage, 'greedy'))
  expect((await open(stage, 'greedy')).answer).toEqual({ t: 'busy' })
  for (let place = uploads.length; place < LIMITS.TREE_UPLOADS_MAX; place++) {
    uploads.push(await open(stage, `peer${place}`))
  }
  expect(uploads.every(({ answer }) => typeof answer === 'object' && 't' in answer && answer.t === 'has')).toBe(true)
  const last = uploads.at(-1)
  await say(last?.channel ?? raise(), HAVE)
  await say(last?.channel ?? raise(), { t: 'ask', chunks: [0] })
  expect(await next(last?.messages ?? raise())).toMatchObject({ chunk: 0, at: 0 })
  const late = await open(stage, 'late')
  expect(late.answer).toMatchObject({ t: 'fetchers', list: [{ id: `peer${LIMITS.TREE_UPLOADS_MAX - 1}` }] })
  expect(await next(late.messages)).toEqual({ t: 'busy' })

  laterMs = LIMITS.TREE_SILENCE_MS
  for (const { messages } of uploads.slice(0, -1)) expect(await next(messages)).toBe('E_UNREACHABLE')
  const held = await fetchAs(keepTrees(stage.mesh('asker')), ['source'])
  expect(held.whole).toBe(true)
})

test('an asker of parts of very many files is refused in the end', async () => {
  const stage = new Stage()
  const { trees, store } = keepTrees(stage.mesh('source'), { now: () => 0 })
  const files = Array.from({ length: 1_000 }, (_, at) => ({
    path: `all/${String(at).padStart(4, '0')}`,
    bytes: 0,
    executable: false,
    chunks: new Uint8Array(),
  }))
  const { digest: whole, description } = encodeTree({ v: 1, files })
  await store.begin(description, deadline())
  const names = Array(LIMITS.POINT_INPUT_NAMES_MAX).fill('all')
  const request = { t: 'open', digest: SAMPLE.digest, part: { of: whole, names } }
  const answers: unknown[] = []
  for (let asked = 0; asked <= LIMITS.TREE_PART_FILES_BURST; asked += names.length * files.length) {
    answers.push((await open(stage, 'rogue', request)).answer)
  }
  expect(answers.slice(0, -1).every((answer) => (answer as ToAsker).t === 'absent')).toBe(true)
  expect([answers.length, answers.at(-1)]).toEqual([4, 'E_FLOOD'])
  expect((await open(stage, 'modest', request)).answer).toEqual({ t: 'absent' })
  trees.stop()
})

test('an asker that only talks does not keep its place', async () => {
  let laterMs = 0
  const stage = await stageSource(() => performance.now() + laterMs)
  const { channel, messages } = await open(stage, 'idle')
  await say(channel, HAVE)
  await say(channel, { t: 'ask', chunks: [CHUNKS - 1] })
  const last = SAMPLE.chunks.at(-1)?.length ?? 0
  for (let at = 0; at < last; at += LIMITS.TREE_PIECE_BYTES) {
    expect(await next(messages)).toMatchObject({ chunk: CHUNKS - 1, at })
  }
  // The other side has noted that it came.
  await new Promise(setImmediate)
  laterMs = LIMITS.TREE_SILENCE_MS
  await say(channel, { t: 'taken', chunks: [0] })
  expect(await next(messages)).toBe('E_UNREACHABLE')
})

function raise(): never {
  throw new Error('nobody found a place')
}
