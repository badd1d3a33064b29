/**
 * The addresses a node keeps of others, held to a number: the library keeps every peer that any answer of the DHT names, and
 * every address a peer ever told, for a day.
 */

import type { PeerId } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import { LIMITS } from '../../protocol/limits.ts'

/** Beyond the numbers, what was told last stays; so do the peers that are connected. */
export function holdAddresses(host: Pick<Libp2p, 'peerId' | 'peerStore' | 'getConnections'>): void {
  const { peerStore } = host
  const merge = peerStore.merge.bind(peerStore)
  /** The longest not told of first. */
  const told = new Map<string, PeerId>()

  const makeRoom = async () => {
    for (const [id, peer] of told) {
      if (told.size <= LIMITS.PEERS_ADDRESSED_MAX) return
      if (host.getConnections(peer).length > 0) continue
      told.delete(id)
      await peerStore.delete(peer)
    }
  }

  peerStore.merge = async (peer, data, options) => {
    if (peer.equals(host.peerId)) return await merge(peer, data, options)
    const id = peer.toString()
    told.delete(id)
    told.set(id, peer)
    const { multiaddrs, ...others } = data
    const latest = multiaddrs?.slice(0, LIMITS.TOKEN_ADDRESSES_MAX)
    const merged = await merge(peer, latest === undefined ? others : { ...others, multiaddrs: latest }, options)
    await makeRoom()
    if (latest === undefined || merged.addresses.length <= LIMITS.TOKEN_ADDRESSES_MAX) return merged
    return await peerStore.patch(peer, { multiaddrs: latest }, options)
  }
}
