/**
 * The DHT's routing table, held to what Kademlia asks for (Maymounkov & Mazieres 2002, section 2.4): k contacts for each
 * length of the prefix they share with this node.
 *
 * The library fills a trie of 2^6 buckets with whomever it hears of, and dials and pings each. That is everyone in a mesh of up
 * to 1,280 nodes; beyond that a node knows its own neighbourhood no better than any other, and lookups lose what they follow.
 */

import type { PeerId } from '@libp2p/interface'

/** What is used of the library's table; it does not export these types. */
export type RoutingTable = {
  readonly size: number
  readonly kBucketSize: number
  readonly kb: {
    readonly localPeer?: Contact
    toIterable(): Iterable<Contact>
    /** Asked before a contact is added: whether it answers. */
    verify(contact: Contact, options?: { signal?: AbortSignal }): Promise<boolean>
    /** Those of the contacts that do not answer. */
    ping(contacts: Contact[], options?: { signal?: AbortSignal }): AsyncIterable<Contact>
    remove(kadId: Uint8Array): Promise<void>
  }
  /** Each few seconds it tags the nearest contacts as to be kept connected. */
  readonly closestPeerTagger: { peerSetSize: number }
  remove(peer: PeerId): Promise<void>
  addEventListener(type: 'peer:add', listener: () => void): void
}

export type Contact = { peerId: PeerId; kadId: Uint8Array; lastPing: number }

/** The depth of the library's trie: enough that a bucket of this module never fills a leaf of it. */
export const TRIE_DEPTH = 32
/** A contact that answered is not asked again sooner. */
const ASK_AGAIN_MS = 10 * 60_000

export const routingTableOf = (host: { services: { dht: unknown } }): RoutingTable =>
  (host.services.dht as { routingTable: RoutingTable }).routingTable

/** The library takes no setting for how often it looks up a random key of each prefix length. */
export function refreshEvery(host: { services: { dht: unknown } }, ms: number): void {
  const { routingTableRefresh } = host.services.dht as { routingTableRefresh: { refreshInterval: number } }
  routingTableRefresh.refreshInterval = ms
}

/**
 * Its 20 nearest contacts the library dials again as soon as they part, once even where no retry is allowed. Who stays connected
 * is the crowd's to say: with both, peers of a mesh of 100 parted and met again, each ten times a minute, for good.
 */
export function keepNobody(table: RoutingTable): void {
  table.closestPeerTagger.peerSetSize = 0
}

/**
 * From here on the table takes k contacts of each prefix length, and a further one only in the place of a dead one. Whoever is
 * connected is alive, which the sync channel sees to: a ping would cost a stream.
 */
export function holdToBuckets(table: RoutingTable, isConnected: (peer: PeerId) => boolean): void {
  const { kb, kBucketSize } = table
  const answers = kb.verify.bind(kb)
  kb.verify = async (contact, options) => {
    const { localPeer } = kb
    if (localPeer === undefined || contact.peerId.equals(localPeer.peerId)) return false
    const prefix = sharedBits(localPeer.kadId, contact.kadId)
    const bucket = [...kb.toIterable()].filter(({ kadId }) => sharedBits(localPeer.kadId, kadId) === prefix)
    if (bucket.length >= kBucketSize && !(await dropDead(table, bucket, options))) return false
    return isConnected(contact.peerId) || (await answers(contact, options))
  }
}

/** Asks the contact longest not heard; true if it was dead and is gone. */
async function dropDead({ kb }: RoutingTable, bucket: Contact[], options?: { signal?: AbortSignal }): Promise<boolean> {
  const oldest = bucket.reduce((first, contact) => (contact.lastPing < first.lastPing ? contact : first))
  if (Date.now() - oldest.lastPing < ASK_AGAIN_MS) return false
  oldest.lastPing = Date.now()
  for await (const dead of kb.ping([oldest], options)) {
    await kb.remove(dead.kadId)
    return true
  }
  return false
}

/** Leading bits two ids have in common. */
export function sharedBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0)
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24
  }
  return 8 * a.length
}
