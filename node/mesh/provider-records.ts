/** The provider records a node keeps for others, held to a number: the library keeps whatever it is sent until it lapses. */

import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { LIMITS } from '../../protocol/limits.ts'

/** What is used of the library's store; it does not export this type. */
type ProviderStore = {
  addProvider(key: CID, provider: PeerId, options?: unknown): Promise<void>
  removeProvider(key: CID, provider: PeerId): Promise<void>
}
type Held = { key: CID; provider: PeerId }

export const providersOf = (host: { services: { dht: unknown } }): ProviderStore =>
  (host.services.dht as { providers: ProviderStore }).providers

/** A further record drives out its provider's oldest, or the oldest of all; the node's own stay. Sent again, a record is new. */
export function holdRecords(host: { peerId: PeerId; services: { dht: unknown } }): void {
  const store = providersOf(host)
  const add = store.addProvider.bind(store)
  /** By provider, and of each by key, the oldest first; what has lapsed is left in, and driven out like any other. */
  const held = new Map<string, Map<string, Held>>()
  let count = 0

  const driveOut = async (id: string) => {
    const records = held.get(id)
    const [oldest] = records ?? []
    if (records === undefined || oldest === undefined) return
    const [name, { key, provider }] = oldest
    records.delete(name)
    if (records.size === 0) held.delete(id)
    count -= 1
    await store.removeProvider(key, provider)
  }

  store.addProvider = async (key, provider, options) => {
    if (provider.equals(host.peerId)) return await add(key, provider, options)
    const [id, name] = [provider.toString(), key.toString()]
    const records = held.get(id) ?? new Map<string, Held>()
    if (!records.delete(name)) count += 1
    held.delete(id)
    held.set(id, records.set(name, { key, provider }))
    if (records.size > LIMITS.DHT_RECORDS_PER_PEER_MAX) await driveOut(id)
    const [longestSilent] = held.keys()
    if (count > LIMITS.DHT_RECORDS_MAX && longestSilent !== undefined) await driveOut(longestSilent)
    await add(key, provider, options)
  }
}
