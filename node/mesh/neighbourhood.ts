/** The nodes nearest to this one in the DHT, and what their nearness says of its size. */

import { createHash } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import { LIMITS } from '../../protocol/limits.ts'
import type { MeshHost } from './host.ts'

/** As many leading bytes of an id as a number holds exactly. */
const PREFIX_BYTES = 6

export class Neighbourhood {
  readonly #host: MeshHost
  readonly #bucketSize: number
  #looking: Promise<void> | undefined
  /** About how many nodes the DHT has, this one included; 0 before the first look. */
  size = 0

  constructor(host: MeshHost, bucketSize: number) {
    this.#host = host
    this.#bucketSize = bucketSize
  }

  /**
   * Looks this node's own id up, as Kademlia's join asks for: its neighbours learn of it, and it of them. The library does so
   * when it starts, which is before it knows anyone, and again only after minutes. One look at a time, for all who ask; it
   * ends after `RENDEZVOUS_LOOKUP_MS` with whoever answered, and never fails.
   */
  lookAround(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const { peerId, services } = this.#host
    const signal = AbortSignal.timeout(LIMITS.RENDEZVOUS_LOOKUP_MS)
    const self = prefixOf(peerId)
    const distances: number[] = []
    try {
      for await (const event of services.dht.getClosestPeers(peerId.toMultihash().bytes, { signal })) {
        if (event.name === 'PEER_RESPONSE') distances.push(distance(self, prefixOf(event.from)))
      }
    } catch {
      // A node that is stopping, or contacts that do not answer: what was heard is what there is.
    }
    // Before the first contact is in the table nobody answers: to go by that would put all newcomers on the keys of small meshes.
    if (distances.length > 0) this.size = sizeOf(distances, this.#bucketSize)
  }
}

/**
 * Ids are spread evenly: of N, the k nearest lie within k / N of all distances. The estimate is unbiased and its error is about
 * one in the root of k, 24% for 20. Fewer than k are everyone there is.
 * @param distances of the nodes found, each as a part of the greatest possible
 */
export function sizeOf(distances: readonly number[], bucketSize: number): number {
  if (distances.length < bucketSize) return distances.length + 1
  const farthest = distances.toSorted((a, b) => a - b)[bucketSize - 1] ?? 1
  return Math.round((bucketSize - 1) / farthest) + 1
}

/** The leading bytes of a peer's place in the DHT, which is the hash of its id. */
function prefixOf(peer: PeerId): number {
  return createHash('sha256').update(peer.toMultihash().bytes).digest().readUIntBE(0, PREFIX_BYTES)
}

/** By exclusive or, as a part of the greatest distance. Numbers of this size have no bitwise operators: halves. */
function distance(a: number, b: number): number {
  const half = 2 ** 24
  const high = (Math.floor(a / half) ^ Math.floor(b / half)) * half
  return (high + ((a % half) ^ (b % half))) / 2 ** (8 * PREFIX_BYTES)
}
