/** The DHT's routing table in a large mesh, and what a node makes of its neighbourhood. The library's own table, with pings answered here. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { expect, test } from 'vitest'
import { sizeOf } from '../../node/mesh/neighbourhood.ts'
import { type RoutingTable, routingTableOf, sharedBits } from '../../node/mesh/routing-table.ts'
import { sees, startMember, startNode, startSession, until } from './nodes.ts'

const K = 8

/** A table of the library whose contacts answer pings as told. */
async function startTable(answers: (peer: PeerId) => boolean) {
  const { host, discovery } = await startSession(await startNode(), {
    dht: { kBucketSize: K, alpha: 3, disjointPaths: 1, reach: 'lan' },
  })
  // Whoever let it in is known before anybody else.
  await until(() => discovery.tableSize === 1)
  const table = routingTableOf(host) as RoutingTable & {
    add(peer: PeerId): Promise<void>
    closestPeerTagger: { updatePeerTags(): Promise<void> }
    components: { ping: { ping(peer: PeerId): Promise<number> } }
  }
  const pinged: PeerId[] = []
  table.components.ping = {
    ping: async (peer) => {
      pinged.push(peer)
      if (!answers(peer)) throw new Error('no answer')
      return 1
    },
  }
  return { host, table, pinged, self: table.kb.localPeer?.kadId ?? new Uint8Array() }
}

const strangers = async (count: number): Promise<PeerId[]> =>
  await Promise.all(
    Array.from({ length: count }, async () => peerIdFromPublicKey((await generateKeyPair('Ed25519')).publicKey)),
  )

test('of 1,000 nodes it meets, a node keeps k of each prefix length and pings no others', async () => {
  const { table, pinged, self } = await startTable(() => true)
  const met = await strangers(1_000)
  for (const peer of met) await table.add(peer)
  const counts: number[] = []
  for (const { kadId } of table.kb.toIterable()) {
    const bits = sharedBits(self, kadId)
    counts[bits] = (counts[bits] ?? 0) + 1
  }
  expect(Math.max(...counts.filter(Boolean))).toBe(K)
  expect(counts.slice(0, 4)).toEqual([K, K, K, K])
  expect(table.size).toBeLessThan(K * Math.log2(1_000))
  expect(pinged.length).toBeLessThanOrEqual(table.size)
})

test('the library is to keep no contact connected, however near', async () => {
  const { table, pinged, host } = await startTable(() => true)
  for (const peer of await strangers(5)) await table.add(peer)
  expect(pinged).toHaveLength(5)
  await table.closestPeerTagger.updatePeerTags()
  const tags = (await host.peerStore.all()).flatMap(({ tags }) => [...tags.keys()])
  expect(tags.filter((tag) => tag.startsWith('keep-alive'))).toEqual([])
})

test('a dead contact makes room for a living one, a living one does not', async () => {
  const dead = new Set<string>()
  const { table } = await startTable((peer) => !dead.has(peer.toString()))
  const met = await strangers(400)
  for (const peer of met) await table.add(peer)
  const held = () => [...table.kb.toIterable()].map(({ peerId }) => peerId.toString())
  const before = held()
  // Its bucket was full of the living.
  const refused = met.find((peer) => !before.includes(peer.toString()))
  if (refused === undefined) throw new Error('all were taken')
  for (const contact of table.kb.toIterable()) {
    dead.add(contact.peerId.toString())
    contact.lastPing = 0
  }
  await table.add(refused)
  expect(held()).toContain(refused.toString())
  expect(held()).toHaveLength(before.length)
})

test('the size of a mesh is told from the k nearest nodes, within a third for most nodes', () => {
  const random = xoroshiro128plus(1)
  for (const [peers, bucket] of [
    [200, 20],
    [1_000, 20],
    [10_000, 20],
    [1_000, 8],
  ] as const) {
    const estimates = Array.from({ length: 50 }, () =>
      sizeOf(
        Array.from({ length: peers }, () => uniformFloat64(random)),
        bucket,
      ),
    ).toSorted((a, b) => a - b)
    const mean = estimates.reduce((sum, size) => sum + size, 0) / estimates.length
    expect(mean / peers).toBeGreaterThan(0.85)
    expect(mean / peers).toBeLessThan(1.15)
    expect((estimates[8] ?? 0) / peers).toBeGreaterThan(0.6)
    expect((estimates[41] ?? 0) / peers).toBeLessThan(1.6)
  }
  expect([0, 1, 7].map((found) => sizeOf(Array(found).fill(0.5), 20))).toEqual([1, 2, 8])
})

test('in a small mesh everyone has everyone in the table', async () => {
  const admin = await startNode()
  const members = [await startMember(admin), await startMember(admin), await startMember(admin)]
  const session = await startSession(admin)
  await until(() => members.every((member) => sees(member, { peerId: session.host.peerId.toString() })))
  await until(() => session.discovery.tableSize === 4)
})
