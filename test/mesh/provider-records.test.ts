import { generateKeyPair, publicKeyFromRaw, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { encode as varint } from 'uint8-varint'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { expect, test } from 'vitest'
import { holdRecords, providersOf } from '../../node/mesh/provider-records.ts'
import { keyOf } from '../../node/mesh/rendezvous.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { deadline, startNode, startSession, until } from './nodes.ts'

const keyNumber = (n: number) => keyOf(`m${n}`, 'peer', 0, 0)

/** The library's store, or what stands in for it: who holds what. */
function storeOf(self: PeerId) {
  const records = new Set<string>()
  const name = (key: CID, provider: PeerId) => `${key} ${provider}`
  const providers = {
    addProvider: async (key: CID, provider: PeerId) => void records.add(name(key, provider)),
    removeProvider: async (key: CID, provider: PeerId) => void records.delete(name(key, provider)),
  }
  holdRecords({ peerId: self, services: { dht: { providers } } })
  return { records, providers, has: (key: CID, provider: PeerId) => records.has(name(key, provider)) }
}

const fieldOf = (number: number, bytes: Uint8Array) =>
  concat([Uint8Array.of((number << 3) | 2), varint(bytes.length), bytes])

/** Of no key that anybody has. */
const madeUpPeer = (number: number) => {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(0, number)
  return peerIdFromPublicKey(publicKeyFromRaw(key))
}

const newPeer = async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

test('of one provider so many records are kept, the newest; of all together so many; its own it keeps', async () => {
  const [self, busy] = [await newPeer(), await newPeer()]
  const { records, providers, has } = storeOf(self)
  for (let i = 0; i <= LIMITS.DHT_RECORDS_PER_PEER_MAX; i++) {
    await providers.addProvider(keyNumber(i), self)
    await providers.addProvider(keyNumber(i), busy)
    // Sent again, the first is not the oldest.
    await providers.addProvider(keyNumber(0), busy)
  }
  expect([0, 1, 2].map((i) => has(keyNumber(i), busy))).toEqual([true, false, true])
  const own = LIMITS.DHT_RECORDS_PER_PEER_MAX + 1
  expect(records.size).toBe(own + LIMITS.DHT_RECORDS_PER_PEER_MAX)
  const others = await Promise.all(Array.from({ length: 100 }, newPeer))
  const eachOfThem = 60
  for (const peer of others) for (let i = 0; i < eachOfThem; i++) await providers.addProvider(keyNumber(i), peer)
  expect(records.size).toBe(own + LIMITS.DHT_RECORDS_MAX)
  expect(has(keyNumber(0), busy)).toBe(false)
  expect(others.slice(-80).every((peer) => has(keyNumber(0), peer))).toBe(true)
  expect(has(keyNumber(0), self)).toBe(true)
})

test('a member that provides more than it may has its oldest forgotten', async () => {
  const admin = await startNode()
  const [holder, greedy] = [await startSession(admin), await startSession(admin)]
  await until(() => greedy.discovery.tableSize === 2)
  const store = providersOf(holder.host) as unknown as { getProviders(key: CID): Promise<PeerId[]> }
  const holds = async (n: number) => (await store.getProviders(keyNumber(n))).length > 0
  const last = LIMITS.DHT_RECORDS_PER_PEER_MAX + 2
  for (let i = 0; i <= last; i++) {
    for await (const _ of greedy.host.services.dht.provide(keyNumber(i), { signal: deadline() }));
  }
  await until(() => holds(last))
  expect(await holds(0)).toBe(false)
})

test('a value is not kept for anybody', async () => {
  const admin = await startNode()
  const [holder, member] = [await startSession(admin), await startSession(admin)]
  await until(() => member.discovery.tableSize === 2)
  const [protocol = ''] = holder.host.getProtocols().filter((name) => name.endsWith('/kad/1.0.0'))
  const key = await generateKeyPair('Ed25519')
  const name = concat([fromString('/pk/'), peerIdFromPrivateKey(key).toMultihash().bytes])
  // The library passes over fields it does not know: here a megabyte.
  const value = concat([publicKeyToProtobuf(key.publicKey), fieldOf(15, new Uint8Array(2 ** 20))])
  const record = concat([fieldOf(1, name), fieldOf(2, value)])
  const stream = await member.host.dialProtocol(holder.host.getMultiaddrs(), protocol, { signal: deadline() })
  const talk = lpStream(stream)
  await talk.write(concat([Uint8Array.of(0x08, 0), fieldOf(2, name), fieldOf(3, record)]))
  await expect(talk.read({ signal: deadline() })).rejects.toThrow(/reset|closed|aborted/i)
})

test('addresses are kept of so many peers, the latest told of and those connected; of each so many', async () => {
  const admin = await startNode()
  const { host } = await startSession(admin)
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, port) => multiaddr(`/ip4/10.0.0.1/tcp/${port + 1}`))
  const [first, busy] = [await newPeer(), await newPeer()]
  await host.peerStore.merge(first, { multiaddrs: addresses(1) })
  await host.peerStore.merge(busy, { multiaddrs: addresses(LIMITS.TOKEN_ADDRESSES_MAX) })
  const { addresses: kept } = await host.peerStore.merge(busy, { multiaddrs: addresses(100).reverse() })
  expect(kept.map(({ multiaddr: address }) => String(address)).sort()).toEqual(
    addresses(100).slice(-LIMITS.TOKEN_ADDRESSES_MAX).map(String).sort(),
  )
  for (let i = 0; i < LIMITS.PEERS_ADDRESSED_MAX; i++) {
    await host.peerStore.merge(madeUpPeer(i), { multiaddrs: addresses(1) })
  }
  expect(await host.peerStore.has(first)).toBe(false)
  expect(await host.peerStore.has(host.getPeers()[0] ?? first)).toBe(true)
  expect(await host.peerStore.has(madeUpPeer(LIMITS.PEERS_ADDRESSED_MAX - 1))).toBe(true)
})

test('of the peers an answer names, so many are heard of', async () => {
  const admin = await startNode()
  const [asker, liar] = [await startSession(admin), await startSession(admin)]
  await until(() => asker.discovery.tableSize === 2)
  const [protocol = ''] = liar.host.getProtocols().filter((name) => name.endsWith('/kad/1.0.0'))
  const somewhere = fieldOf(2, multiaddr('/ip4/127.0.0.1/tcp/9').bytes)
  const named = Array.from({ length: 4 * LIMITS.DHT_ANSWER_PEERS_MAX }, (_, i) =>
    fieldOf(8, concat([fieldOf(1, madeUpPeer(i).toMultihash().bytes), somewhere])),
  )
  const answer = concat([Uint8Array.of(0x08, 4), ...named])
  await liar.host.unhandle(protocol)
  await liar.host.handle(protocol, async (stream) => {
    const talk = lpStream(stream)
    await talk.read({ signal: deadline() })
    await talk.write(answer, { signal: deadline() })
  })
  const heard: number[] = []
  for await (const event of asker.host.services.dht.getClosestPeers(new Uint8Array(32), { signal: deadline() })) {
    if (event.name !== 'PEER_RESPONSE' || !event.from.equals(liar.host.peerId)) continue
    heard.push(event.closer.length)
    break
  }
  expect(heard).toEqual([LIMITS.DHT_ANSWER_PEERS_MAX])
  const stored = await asker.host.peerStore.all()
  expect(stored.length).toBeLessThan(1.5 * LIMITS.DHT_ANSWER_PEERS_MAX)
})
