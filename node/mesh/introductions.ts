/**
 * How a newcomer comes to know the others: whoever it meets introduces it to the peers it holds. The DHT finds them too, but only
 * once its tables have filled, and the peers it finds are found one search after another.
 */

import { z } from 'zod'
import { LIMITS } from '../../protocol/limits.ts'
import type { Connector } from './connector.ts'
import type { AdmittedPeer } from './mesh.ts'
import type { PeerTable } from './peers.ts'

/** A hint like any other: whoever it names is dialled and must pass the handshake. */
export const introductionSchema = z.strictObject({
  id: z.string().max(100),
  addresses: z.array(z.string().max(200)).max(LIMITS.TOKEN_ADDRESSES_MAX),
})
export type Introduction = z.infer<typeof introductionSchema>

/** Who is told of a newcomer lets it come first: two that dial each other at once end with two connections. */
const NEWCOMER_FIRST_MS = 1_500

export class Introductions {
  readonly #peers: PeerTable
  readonly #connector: Pick<Connector, 'suggest' | 'promising'>
  readonly #outboundOnly: boolean

  constructor(components: {
    peers: PeerTable
    connector: Pick<Connector, 'suggest' | 'promising'>
    outboundOnly: boolean
  }) {
    this.#peers = components.peers
    this.#connector = components.connector
    this.#outboundOnly = components.outboundOnly
  }

  /** How many peers this node would like to be introduced to. */
  wanted(): number {
    return Math.max(0, LIMITS.PEERS_WANTED - this.#peers.size - this.#connector.promising)
  }

  /** So many of the peers held that `peer` can dial, drawn by lot. */
  choose(peer: string, count: number): Introduction[] {
    const known = this.#peers.list().flatMap((one) => (one.id === peer ? [] : (introductionOf(one) ?? [])))
    for (let i = 0; i < Math.min(count, known.length); i++) {
      const other = i + Math.floor(Math.random() * (known.length - i))
      const [a, b] = [known[i], known[other]]
      if (a !== undefined && b !== undefined) [known[i], known[other]] = [b, a]
    }
    return known.slice(0, count)
  }

  take(list: readonly Introduction[]): void {
    for (const { id, addresses } of list) this.#connector.suggest(id, addresses)
  }

  /** It comes by itself, unless it cannot reach this node. */
  takeNewcomer({ id, addresses }: Introduction): void {
    this.#connector.suggest(id, addresses, { afterMs: this.#outboundOnly ? 0 : NEWCOMER_FIRST_MS })
  }
}

/** None for a peer nobody can dial. */
export function introductionOf({ id, ad }: AdmittedPeer): Introduction | undefined {
  return ad.addresses.length === 0 ? undefined : { id, addresses: ad.addresses }
}
