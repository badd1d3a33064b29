import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { CID } from 'multiformats/cid'
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
