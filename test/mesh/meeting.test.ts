import { expect, test, vi } from 'vitest'
import type { Hearsay } from '../../node/mesh/hearsay.ts'
import { Introductions } from '../../node/mesh/introductions.ts'
import { PeerTable } from '../../node/mesh/peers.ts'
import { keyOf, Rendezvous } from '../../node/mesh/rendezvous.ts'
import { LIMITS } from '../../protocol/limits.ts'
import {
  deadline,
  HOUR_MS,
  SLOW_TABLE_MS,
  sees,
  slowTable,
  startMember,
  startNode,
  startSession,
  until,
} from './nodes.ts'

/** A second or two where cores are free. Who is missed is looked for again after half a minute, which is too late. */
const MEET_MS = 20_000

test('who comes late and slowly meets those that have stopped to look for others', async () => {
  const first = await startNode()
  const second = await startSession(first, {}, slowTable)
  await until(() => second.discovery.tableSize === 1)
  const third = await startSession(first, {}, slowTable)
  await until(() => second.peers.get(third.host.peerId.toString()) !== undefined, MEET_MS)
})

test('two that come at once, each told of the first alone, meet each other', async () => {
  const first = await startNode()
  const { text } = first.createToken({ uses: 2, ttlMs: HOUR_MS, role: 'member' })
  const [second, third] = [await startNode(), await startNode()]
  await Promise.all([second.join(text, deadline()), third.join(text, deadline())])
  await until(() => sees(second, third) && sees(third, second), MEET_MS)
})

test('three that start one after the other, each told of the last alone, all meet though their searches find nobody', async () => {
  const find = vi.spyOn(Rendezvous.prototype, 'find').mockImplementation(async function* () {
    yield* []
  })
  try {
    const first = await startNode()
    const second = await startMember(first, 'admin')
    const third = await startMember(second)
    await until(() => sees(first, third) && sees(third, first), MEET_MS)
  } finally {
    find.mockRestore()
  }
})

test('a newcomer is met by those it cannot dial, whether they know of it or not', async () => {
  const first = await startNode()
  const outbound = await startMember(first, 'worker', { outboundOnly: true })
  const walled = await startMember(first, 'worker', { announce: ['/ip4/127.0.0.1/tcp/1'] })
  const newcomer = await startMember(first)
  await until(() => sees(newcomer, outbound) && sees(newcomer, walled), MEET_MS)
  expect(newcomer.peers().filter(({ direction }) => direction === 'inbound')).toHaveLength(2)
})

test('what is offered is in the DHT as soon as the DHT knows anyone', async () => {
  const first = await startNode()
  const { host } = await startSession(first)
  const slow = await startSession(first, {}, slowTable)
  const key = keyOf(first.meshId, 'peer', 0, 0)
  const isProvided = async () => {
    for await (const event of host.services.dht.findProviders(key, { signal: deadline() })) {
      // The provider itself knows from the start.
      if (event.name !== 'PROVIDER' || event.from.equals(slow.host.peerId)) continue
      if (event.providers.some(({ id }) => id.equals(slow.host.peerId))) return true
    }
    return false
  }
  await until(isProvided, SLOW_TABLE_MS + MEET_MS)
})

test('as many introductions are asked for as peers are wanted and not yet to be dialled', () => {
  const peers = new PeerTable(() => undefined)
  const hearsay = { list: () => [] } as unknown as Hearsay
  const of = (promising: number) =>
    new Introductions({ peers, hearsay, connector: { promising, suggest: () => true }, outboundOnly: false }).wanted()
  expect([of(0), of(5), of(LIMITS.PEERS_WANTED), of(LIMITS.PEERS_WANTED + 1)]).toEqual([
    LIMITS.PEERS_WANTED,
    LIMITS.PEERS_WANTED - 5,
    0,
    0,
  ])
})
