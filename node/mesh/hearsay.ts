/**
 * Members that others told of and that are not met yet. What is kept of each is its own signed ad and its certificates, checked
 * here: whoever tells of it can leave it out or be late, but can make up neither a peer nor what it offers.
 *
 * That it lives is only told. An entry stands until the peer would be given up if it were connected: `PEER_SILENCE_MS` after the
 * sign of life of which was told. It never takes the place of what a peer says itself.
 */

import { z } from 'zod'
import { type Ad, type SignedAd, signedAdSchema } from '../../protocol/ad.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { chainSchema } from '../../protocol/membership/index.ts'
import type { AdReader } from './ads.ts'
import type { Membership, Standing } from './membership.ts'
import type { HeardPeer } from './mesh.ts'

/** A peer as one member tells another of it. */
export const testimonySchema = z.strictObject({
  ad: signedAdSchema,
  /** Shown by the peer to whoever tells of it; empty for a stranger of an open mesh. */
  chain: chainSchema,
  /** Since its last sign of life to whoever tells of it, milliseconds. */
  silentMs: z.int().min(0).max(LIMITS.PEER_SILENCE_MS),
})
export type Testimony = z.infer<typeof testimonySchema>

type Entry = { ad: Ad; standing: Standing; heardAt: number; until: number }

export class Hearsay {
  readonly #membership: Pick<Membership, 'judge' | 'recheck'>
  readonly #ads: Pick<AdReader, 'readAny' | 'isOld'>
  readonly #entries = new Map<string, Entry>()

  constructor(components: {
    membership: Pick<Membership, 'judge' | 'recheck'>
    ads: Pick<AdReader, 'readAny' | 'isOld'>
  }) {
    this.#membership = components.membership
    this.#ads = components.ads
  }

  /** The peer's own word, if all of it holds. What does not is no offence: who told of it may know another version, or not of a revocation. */
  async take({ ad: signed, chain, silentMs }: Testimony): Promise<Ad | null> {
    const checked = await this.#check(signed, chain)
    if (checked === null) return null
    const { ad } = checked
    const heardAt = performance.now() - silentMs
    const known = this.#entries.get(ad.peer)
    if (known === undefined || ad.seq > known.ad.seq || (ad.seq === known.ad.seq && heardAt > known.heardAt)) {
      this.#keep({ ...checked, heardAt, until: heardAt + Math.min(LIMITS.PEER_SILENCE_MS, ad.ttlMs) })
    }
    return ad
  }

  /** It was met, and speaks for itself; or it was dialled and did not answer. */
  forget(peer: string): void {
    this.#entries.delete(peer)
  }

  list(): HeardPeer[] {
    const now = performance.now()
    for (const [peer, entry] of this.#entries) if (entry.until <= now || !this.#stands(entry)) this.forget(peer)
    return [...this.#entries.values()].map(({ ad, standing, heardAt }) => ({
      id: ad.peer,
      role: standing.role,
      ad,
      silentMs: now - heardAt,
    }))
  }

  async #check(signed: SignedAd, chain: Testimony['chain']): Promise<{ ad: Ad; standing: Standing } | null> {
    try {
      const ad = await this.#ads.readAny(signed)
      return this.#ads.isOld(ad) ? null : { ad, standing: await this.#membership.judge(ad.peer, chain) }
    } catch {
      return null
    }
  }

  #stands({ standing }: Entry): boolean {
    try {
      this.#membership.recheck(standing.links)
      return true
    } catch {
      return false
    }
  }

  /** Over the limit, what would end first goes. */
  #keep(entry: Entry): void {
    this.#entries.set(entry.ad.peer, entry)
    if (this.#entries.size <= LIMITS.PEERS_HEARD_OF_MAX) return
    const [first] = [...this.#entries].sort(([, a], [, b]) => a.until - b.until)
    if (first !== undefined) this.forget(first[0])
  }
}
