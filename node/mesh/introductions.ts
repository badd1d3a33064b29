/**
 * How a newcomer comes to know the others: whoever it meets introduces it to the peers it holds. The DHT finds them too, but only
 * once its tables have filled, and the peers it finds are found one search after another.
 */

import { z } from 'zod'
import type { Ad } from '../../protocol/ad.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Connector } from './connector.ts'
import type { Hearsay, Testimony } from './hearsay.ts'
import type { AdmittedPeer, HeardPeer } from './mesh.ts'
import type { PeerEntry, PeerTable } from './peers.ts'

/** A hint like any other: whoever it names is dialled and must pass the handshake. */
export const introductionSchema = z.strictObject({
  id: z.string().max(100),
  addresses: z.array(z.string().max(200)).max(LIMITS.TOKEN_ADDRESSES_MAX),
})
export type Introduction = z.infer<typeof introductionSchema>

/** Who is told of a newcomer lets it come first: two that dial each other at once end with two connections. */
const NEWCOMER_FIRST_MS = 1_500
/** A beat, its jitter, the half of one in which other words take its place, and the way here. */
export const SIGN_OF_LIFE_MS = 2 * LIMITS.PEER_BEAT_MS

type Components = {
  peers: PeerTable
  hearsay: Hearsay
  connector: Pick<Connector, 'suggest' | 'promising'>
  outboundOnly: boolean
}

export class Introductions {
  readonly #peers: PeerTable
  readonly #hearsay: Hearsay
  readonly #connector: Components['connector']
  readonly #outboundOnly: boolean

  constructor(components: Components) {
    this.#peers = components.peers
    this.#hearsay = components.hearsay
    this.#connector = components.connector
    this.#outboundOnly = components.outboundOnly
  }

  /** How many peers this node would like to be introduced to. */
  wanted(): number {
    return Math.max(0, LIMITS.PEERS_WANTED - this.#peers.size - this.#connector.promising)
  }

  /** So many of the peers held that `peer` can dial, drawn by lot: first of those that gave a sign of life when it was due. */
  choose(peer: string, count: number): Testimony[] {
    const now = performance.now()
    const lots = this.#peers.entries().flatMap(([id, entry]) => {
      const testimony = id === peer ? undefined : testimonyOf(entry, now)
      if (testimony === undefined) return []
      return [{ testimony, lot: Math.random() + (testimony.silentMs > SIGN_OF_LIFE_MS ? 1 : 0) }]
    })
    return lots
      .sort((a, b) => a.lot - b.lot)
      .slice(0, count)
      .map(({ testimony }) => testimony)
  }

  async take(list: readonly Testimony[]): Promise<void> {
    for (const testimony of list) this.#dial(await this.#hearsay.take(testimony), 0)
  }

  /** It comes by itself, unless it cannot reach this node. */
  async takeNewcomer(testimony: Testimony): Promise<void> {
    this.#dial(await this.#hearsay.take(testimony), this.#outboundOnly ? 0 : NEWCOMER_FIRST_MS)
  }

  /** Told of by others, and not connected. */
  heardOf(): HeardPeer[] {
    return this.#hearsay.list().filter(({ id }) => this.#peers.get(id) === undefined)
  }

  #dial(ad: Ad | null, afterMs: number): void {
    if (ad !== null) this.#connector.suggest(ad.peer, ad.addresses, { afterMs })
  }
}

/** None for a peer nobody can dial, and for one that is about to be given up. */
export function testimonyOf(entry: PeerEntry, now: number): Testimony | undefined {
  const silentMs = Math.max(0, Math.round(now - entry.heardAt))
  if (entry.ad.addresses.length === 0 || silentMs > LIMITS.PEER_SILENCE_MS) return undefined
  return { ad: entry.signed, chain: entry.admission.standing.chain, silentMs }
}

/** None for a peer nobody can dial. */
export function introductionOf({ id, ad }: AdmittedPeer): Introduction | undefined {
  return ad.addresses.length === 0 ? undefined : { id, addresses: ad.addresses }
}
