/** A peer that asks this node for more than it may: cut off, and not let in again for a while. */

import type { Connection } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { concat } from 'uint8arrays/concat'
import { expect, test } from 'vitest'
import { Allowance, PeerAllowances } from '../../node/mesh/allowance.ts'
import { Doors } from '../../node/mesh/doors.ts'
import { holdQuestions, holdStreams, muxerOf } from '../../node/mesh/floods.ts'
import { Refusals } from '../../node/mesh/refusals.ts'
import type { Session } from '../../node/mesh/session.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { codeOf, deadline, sees, startMember, startNode, startSession, until } from './nodes.ts'

/** Set by hand, milliseconds. */
function handClock() {
  const clock = { at: 0, now: () => clock.at }
  return clock
}

const times = (count: number, act: () => boolean) => Array.from({ length: count }, act).filter(Boolean).length

test('an allowance is a burst, then a rate, and never more than the burst again', () => {
  const clock = handClock()
  const allowance = new Allowance({ burst: 10, perSecond: 2, now: clock.now })
  expect(times(20, () => allowance.spend())).toBe(10)
  clock.at += 1_500
  expect(times(20, () => allowance.spend())).toBe(3)
  clock.at += 3_600_000
  expect([allowance.spend(11), allowance.spend(10), allowance.spend()]).toEqual([false, true, false])
})

test('each peer has its own, and those who ask for nothing any more are forgotten', () => {
  const clock = handClock()
  const allowances = new PeerAllowances({ burst: 10, perSecond: 1, now: clock.now })
  expect(times(20, () => allowances.spend('greedy'))).toBe(10)
  for (let i = 0; i < 1_000; i++) {
    expect(allowances.spend(`modest${i}`)).toBe(true)
    expect(allowances.spend('greedy')).toBe(i > 0 && i % 2 === 0)
    clock.at += 500
  }
  expect(allowances.size).toBeLessThan(5)
})

test('questions to the DHT: those beyond the allowance of their peer are not answered, and are told of', async () => {
  const clock = handClock()
  let answered = 0
  const flooded: string[] = []
  const rpc = { handleMessage: async (_peer: object, _question: object) => void answered++ }
  const onFlood = (peer: string) => void flooded.push(peer)
  holdQuestions({ services: { dht: { rpc } } }, { onFlood, now: clock.now })
  const ask = (peer: string, named = 0) =>
    codeOf(rpc.handleMessage({ toString: () => peer }, { closer: [], providers: Array(named).fill(0) }))
  for (let i = 0; i < LIMITS.DHT_BURST_QUESTIONS; i++) await ask('greedy', i % 2)
  expect([answered, flooded]).toEqual([LIMITS.DHT_BURST_QUESTIONS, []])
  expect(await ask('greedy')).toBe('E_FLOOD')
  expect(await ask('modest')).toBe('no error')
  expect(await ask('crowded', LIMITS.DHT_BURST_QUESTIONS + 1)).toBe('E_FLOOD')
  clock.at += 1_000
  for (let i = 0; i < LIMITS.DHT_QUESTIONS_PER_SECOND; i++) await ask('greedy')
  expect(answered).toBe(LIMITS.DHT_BURST_QUESTIONS + LIMITS.DHT_QUESTIONS_PER_SECOND + 1)
  expect(flooded).toEqual(['greedy', 'crowded'])
})

test('streams: those beyond the allowance of their peer are reset, on whichever connection, and are told of', () => {
  const clock = handClock()
  const flooded: string[] = []
  const host = new EventTarget()
  holdStreams(host as unknown as Libp2p, { onFlood: (peer) => void flooded.push(peer), now: clock.now })
  const connect = (remotePeer: string) => {
    const muxer = new EventTarget()
    host.dispatchEvent(new CustomEvent('connection:open', { detail: { remotePeer, muxer } }))
    return () => {
      let kept = true
      const abort = () => {
        kept = false
      }
      muxer.dispatchEvent(new CustomEvent('stream', { detail: { abort } }))
      return kept
    }
  }
  const [one, another, modest] = [connect('greedy'), connect('greedy'), connect('modest')]
  expect(times(LIMITS.STREAM_BURST - 1, one) + times(2, another)).toBe(LIMITS.STREAM_BURST)
  expect([modest(), flooded]).toEqual([true, ['greedy']])
  clock.at += 1_000
  expect(times(LIMITS.STREAMS_PER_SECOND, connect('greedy'))).toBe(LIMITS.STREAMS_PER_SECOND)
  expect(flooded).toEqual(['greedy'])
})

test('who flooded this node is refused for a minute, and not for longer because it tries', () => {
  const clock = handClock()
  const refusals = new Refusals({ now: clock.now })
  const add = (peer: string, by: 'ours' | 'theirs' = 'ours') =>
    refusals.add({ peer, address: '', code: 'E_FLOOD', message: '', by })
  add('greedy')
  add('other', 'theirs')
  refusals.add({ peer: 'other', address: '', code: 'E_FRAME', message: '', by: 'ours' })
  clock.at += LIMITS.FLOOD_REFUSED_MS - 1
  add('greedy')
  expect([refusals.isBarred('greedy'), refusals.isBarred('other')]).toEqual([true, false])
  clock.at += 1
  expect(refusals.isBarred('greedy')).toBe(false)
  add('greedy')
  expect(refusals.isBarred('greedy')).toBe(true)
})

/** Far more streams than it may, each given up at once; how many until it was hung up on. */
async function openStreams(connection: Connection | undefined): Promise<number> {
  let opened = 0
  try {
    while (connection?.status === 'open' && opened < 10 * LIMITS.STREAM_BURST) {
      const stream = await muxerOf(connection).createStream()
      opened += 1
      // It has been said that there is one before it is said that there is not.
      if (opened % LIMITS.STREAM_BURST === 0) await new Promise((resolve) => setImmediate(resolve))
      else await Promise.resolve()
      stream.abort(new Error('for nothing'))
    }
  } catch {
    // Hung up on.
  }
  return opened
}

/** Peers in a question: so it is as many, and a machine that has no time for this test cannot be too slow for a flood. */
const NAMED = 10

/** As many questions as there are, at once, until the other side has had enough; how many it answered. */
async function askTheDht({ host }: Session, connection: Connection | undefined): Promise<number> {
  const [protocol = ''] = host.getProtocols().filter((name) => name.endsWith('/kad/1.0.0'))
  const stream = await connection?.newStream(protocol, { signal: deadline() })
  if (stream === undefined) throw new Error('no stream')
  const talk = lpStream(stream)
  // FIND_NODE, of a key of 32 bytes, with nameless peers that have nothing to do with it.
  const key = new Uint8Array(32).fill(7)
  const question = concat([Uint8Array.of(0x08, 4, 0x12, 32), key, ...Array(NAMED).fill(Uint8Array.of(0x42, 0))])
  const questions = 10 * LIMITS.DHT_BURST_QUESTIONS
  let answers = 0
  try {
    const asking = Array.from({ length: questions }, () => talk.write(question, { signal: deadline() }))
    await Promise.all(asking)
    for (; answers < questions; answers++) await talk.read({ signal: deadline() })
  } catch {
    // It had enough.
  }
  return answers
}

test('a member that floods the DHT is cut off and refused when it comes back, and others are not', async () => {
  const admin = await startNode()
  const [rogue, member] = [await startSession(admin), await startMember(admin)]
  const peerId = rogue.host.peerId.toString()
  await until(() => sees(member, { peerId }))
  const began = performance.now()
  const [connection] = rogue.peers.get(admin.peerId)?.connections ?? []
  const answers = await askTheDht(rogue, connection)
  const seconds = (performance.now() - began) / 1_000
  expect(NAMED * answers).toBeLessThan(LIMITS.DHT_BURST_QUESTIONS + (seconds + 1) * LIMITS.DHT_QUESTIONS_PER_SECOND)
  await until(() => !sees(admin, { peerId }) && connection?.status !== 'open')
  expect(admin.refusals()).toContainEqual(expect.objectContaining({ peer: peerId, code: 'E_FLOOD', by: 'ours' }))
  await expect(rogue.host.dial(admin.status().addresses.map((address) => multiaddr(address)))).rejects.toThrow()
  expect([sees(admin, { peerId }), sees(admin, member), sees(member, admin)]).toEqual([false, true, true])
})

test('a member that opens streams for nothing is cut off, and others are not', async () => {
  const admin = await startNode()
  const [rogue, member] = [await startSession(admin), await startMember(admin)]
  const [connection] = rogue.peers.get(admin.peerId)?.connections ?? []
  const opened = await openStreams(connection)
  await until(() => !sees(admin, { peerId: rogue.host.peerId.toString() }) && connection?.status !== 'open')
  expect(opened).toBeGreaterThan(LIMITS.STREAM_BURST)
  expect(admin.refusals().map(({ code, by }) => [code, by])).toEqual([['E_FLOOD', 'ours']])
  expect([sees(admin, member), sees(member, admin)]).toEqual([true, true])
})

test('a node waits rather than open so many channels that its peer takes it for a flood', async () => {
  const { host, peers } = await startSession(await startNode())
  const doors = new Doors({ host, peers, refusals: new Refusals(), cut: () => undefined })
  // No such peer: it comes to that when it is its turn.
  const open = (signal: AbortSignal) => codeOf(doors.open('nobody', '/test/work/1', signal))
  const began = performance.now()
  const [burst, perSecond] = [LIMITS.STREAM_BURST / 2, LIMITS.STREAMS_PER_SECOND / 2]
  for (let i = 0; i < burst + perSecond / 4; i++) expect(await open(deadline())).toBe('E_UNREACHABLE')
  expect(performance.now() - began).toBeGreaterThan(240)
  const ended = codeOf(doors.open('nobody', '/test/work/1', AbortSignal.abort()))
  expect(await ended).toBe('E_UNREACHABLE')
})
