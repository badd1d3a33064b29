/** Channels over real connections: order, back-pressure, ends, and each violation by a rogue member. */

import type { Stream } from '@libp2p/interface'
import { encode as varint } from 'uint8-varint'
import { concat } from 'uint8arrays/concat'
import { expect, test } from 'vitest'
import type { MeshNode } from '../../node/mesh/create.ts'
import type { Channel } from '../../node/mesh/mesh.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, startMember, startNode, startSession, until } from './nodes.ts'

const PROTOCOL = '/test/frames/1'
const MiB = 2 ** 20

/** Two connected nodes and both ends of one channel between them. */
async function openPair(): Promise<{ near: Channel; far: Channel; admin: MeshNode; member: MeshNode }> {
  const admin = await startNode()
  const { promise, resolve } = Promise.withResolvers<Channel>()
  const ended = Promise.withResolvers<void>()
  admin.serve(PROTOCOL, async (channel) => {
    resolve(channel)
    await ended.promise
  })
  const member = await startMember(admin)
  const near = await member.open(admin.peerId, PROTOCOL, deadline())
  await near.send(Uint8Array.of(0))
  const far = await promise
  await far[Symbol.asyncIterator]().next()
  return { near, far, admin, member }
}

async function take(channel: Channel, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = []
  for await (const frame of channel) if (frames.push(frame) === count) break
  return frames
}

test('frames arrive whole and in order, whatever their sizes, sent without waiting', async () => {
  const { near, far } = await openPair()
  const sizes = [0, 1, 127, 128, 65_536, LIMITS.FRAME_MAX_BYTES, ...Array.from({ length: 500 }, (_, at) => at * 7)]
  const sent = sizes.map((size, at) => near.send(new Uint8Array(size).fill(at)))
  const frames = await take(far, sizes.length)
  await Promise.all(sent)
  expect(frames.map(({ length }) => length)).toEqual(sizes)
  expect(frames.every((frame, at) => frame.every((byte) => byte === at % 256))).toBe(true)
})

test('a sender waits for a reader that does not read, and goes on when it does', async () => {
  const { near, far, admin, member } = await openPair()
  let done = 0
  const sent = Array.from({ length: 64 }, () => near.send(new Uint8Array(MiB)).then(() => done++))
  await until(() => done >= LIMITS.STREAM_CREDIT_FRAMES - 1)
  // Round trips on another channel of the same connection show that nothing more is on its way.
  admin.serve('/test/echo/1', async (channel) => {
    for await (const frame of channel) await channel.send(frame)
  })
  const echo = await member.open(admin.peerId, '/test/echo/1', deadline())
  for (let trip = 0; trip < 20; trip += 1) {
    await echo.send(Uint8Array.of(trip))
    await take(echo, 1)
  }
  expect(done).toBeLessThanOrEqual(LIMITS.STREAM_CREDIT_FRAMES)
  await take(far, 64)
  await Promise.all(sent)
})

test('a clean end, an abort and a handler that throws are told to the other side', async () => {
  const { near, far, admin, member } = await openPair()
  await near.send(Uint8Array.of(7))
  await near.close()
  const frames: Uint8Array[] = []
  for await (const frame of far) frames.push(frame)
  expect(frames).toEqual([Uint8Array.of(7)])
  expect(await codeOf(far.send(Uint8Array.of(1)))).toBe('E_UNREACHABLE')
  expect(await codeOf(near.send(Uint8Array.of(1)))).toBe('E_UNREACHABLE')

  admin.serve('/test/abort/1', async (channel) => channel.abort('E_DRAINING', 'leaving'))
  const aborted = await member.open(admin.peerId, '/test/abort/1', deadline())
  expect(await codeOf(take(aborted, 1))).toBe('E_DRAINING')

  admin.serve('/test/throw/1', async () => {
    throw new Error('a fault of the handler')
  })
  const thrown = await member.open(admin.peerId, '/test/throw/1', deadline())
  expect(await codeOf(take(thrown, 1))).toBe('E_INTERNAL')
  expect(admin.peers()).toHaveLength(1)
})

test('a channel to nobody, or of a protocol not served, does not open', async () => {
  const { admin, member } = await openPair()
  expect(await codeOf(member.open(member.peerId, PROTOCOL, deadline()))).toBe('E_UNREACHABLE')
  expect(await codeOf(member.open(admin.peerId, '/test/none/1', deadline()))).toBe('E_PROTOCOL_VERSION')
})

test('a frame of our own over the limit is refused before it is sent', async () => {
  const { near } = await openPair()
  expect(await codeOf(near.send(new Uint8Array(LIMITS.FRAME_MAX_BYTES + 1)))).toBe('E_FRAME_TOO_BIG')
})

test('the other side learns at once when its peer stops, in the middle of sends it never read', async () => {
  const { near, far, member } = await openPair()
  const sends = Array.from({ length: 8 }, () => codeOf(far.send(new Uint8Array(MiB))))
  const reading = codeOf(take(far, 1))
  await member.stop()
  expect(await reading).toBe('E_UNREACHABLE')
  expect(new Set((await Promise.all(sends)).slice(LIMITS.STREAM_CREDIT_FRAMES))).toEqual(new Set(['E_UNREACHABLE']))
  expect(await codeOf(near.send(Uint8Array.of(1)))).toBe('E_UNREACHABLE')
})

const message = (...parts: Uint8Array[]) => {
  const body = concat(parts)
  return concat([varint(body.length), body])
}

const VIOLATIONS: [string, string, (stream: Stream) => void][] = [
  ['a frame over the limit', 'E_FRAME_TOO_BIG', (stream) => void stream.send(varint(LIMITS.FRAME_MAX_BYTES * 2))],
  [
    'more than its credit',
    'E_FLOOD',
    (stream) => {
      for (let sent = 0; sent < 5; sent += 1) stream.send(message(new Uint8Array(LIMITS.FRAME_MAX_BYTES)))
    },
  ],
  [
    'more small frames than its credit',
    'E_FLOOD',
    (stream) => {
      for (let sent = 0; sent < 4_000; sent += 1) stream.send(message(Uint8Array.of(0)))
    },
  ],
  ['a frame of no known kind', 'E_FRAME', (stream) => void stream.send(message(Uint8Array.of(9, 9)))],
  ['an empty frame', 'E_FRAME', (stream) => void stream.send(message(new Uint8Array()))],
  ['credit in crumbs', 'E_FLOOD', (stream) => void stream.send(message(Uint8Array.of(1, 0, 0, 0, 0)))],
  ['credit out of thin air', 'E_FLOOD', (stream) => void stream.send(message(Uint8Array.of(1, 255, 255, 255, 255)))],
]

test.each(VIOLATIONS)('a member that sends %s is disconnected and remembered for it', async (_, code, misbehave) => {
  const admin = await startNode()
  const { promise: end, resolve } = Promise.withResolvers<string>()
  admin.serve(PROTOCOL, async (channel) => {
    // Reads nothing until the violation: a reader would give credit back.
    await until(() => admin.refusals().length > 0)
    resolve(await codeOf(take(channel, Number.POSITIVE_INFINITY)))
  })
  const rogue = await startSession(admin)
  const [connection] = rogue.host.getConnections()
  const stream = await connection?.newStream(PROTOCOL)
  if (stream === undefined) throw new Error('no stream')
  misbehave(stream)
  expect(await end).toBe(code)
  await until(() => admin.peers().length === 0)
  expect(admin.refusals()[0]).toMatchObject({ code, by: 'ours', peer: rogue.host.peerId.toString() })
})

test('a connection has few channels for sync messages, as each may ask so much', async () => {
  const admin = await startNode()
  const rogue = await startSession(admin)
  const opened = await Promise.all(
    Array.from({ length: LIMITS.SYNC_CHANNELS_MAX + 1 }, () =>
      rogue.doors.open(admin.peerId, '/talkoot/sync/1', deadline()),
    ),
  )
  const ends = opened.map((channel) => codeOf(take(channel, Number.POSITIVE_INFINITY)))
  expect(await Promise.race(ends)).toBe('E_FLOOD')
  await rogue.stop()
})

test('a flood of sync messages, and sync messages that are none, end the connection', async () => {
  const admin = await startNode()
  for (const [code, frame, count] of [
    ['E_FLOOD', Uint8Array.of(0xa1, 0x61, 0x74, 0x64, 0x62, 0x65, 0x61, 0x74), 2 * LIMITS.SYNC_BURST_MESSAGES],
    ['E_FRAME', Uint8Array.of(1, 2, 3), 1],
  ] as const) {
    const rogue = await startSession(admin)
    const channel = await rogue.doors.open(admin.peerId, '/talkoot/sync/1', deadline())
    await Promise.allSettled(Array.from({ length: count }, () => channel.send(frame)))
    await until(() => admin.refusals().some((refusal) => refusal.code === code))
    await until(() => admin.peers().length === 0)
    await rogue.stop()
  }
})
