/** What a submitter's node has seen of its peers itself: who was confirmed, who was caught, and who was wronged. */

import { LIMITS } from '../../../protocol/limits.ts'
import { type Assumptions, aged, caught, type Evidence, exonerated, survived } from './credit.ts'

export class CreditBook {
  readonly #assumed: Assumptions
  readonly #load: (peer: string) => Evidence | null
  readonly #known = new Map<string, Evidence>()
  /** What was taken from whom over a unit, so that it can be given back; oldest first. */
  readonly #taken = new Map<string, { peer: string; lost: Evidence }[]>()

  /** `load`: what was written of a peer before; null: nothing. */
  constructor({ assumed, load = () => null }: { assumed: Assumptions; load?: (peer: string) => Evidence | null }) {
    this.#assumed = assumed
    this.#load = load
  }

  /** As written: for the ledger. Read from there once. */
  evidence(peer: string, now: number): Evidence {
    const known = this.#known.get(peer)
    if (known !== undefined) return known
    const loaded = this.#load(peer) ?? { checks: 0, caught: 0, at: now }
    this.#write(peer, loaded)
    return loaded
  }

  /** What the peer's word is worth today. */
  credit(peer: string, now: number): Evidence {
    return aged(this.evidence(peer, now), now, this.#assumed)
  }

  /** Each survived one more check. */
  confirm(peers: readonly string[], now: number): void {
    for (const peer of peers) this.#write(peer, survived(this.evidence(peer, now), now, this.#assumed))
  }

  /** `peer` said something else on `unit` than what two or more independent peers said and was accepted. */
  catch(unit: string, peer: string, now: number): void {
    const lost = this.evidence(peer, now)
    this.remember(unit, peer, lost)
    this.#write(peer, caught(lost, now, this.#assumed))
  }

  /** That `lost` was taken from `peer` over `unit`, in an earlier life of this node. */
  remember(unit: string, peer: string, lost: Evidence): void {
    const taken = this.#taken.get(unit)
    if (taken === undefined) this.#taken.set(unit, [{ peer, lost }])
    else taken.push({ peer, lost })
    for (const oldest of this.#taken.keys()) {
      if (this.#taken.size <= LIMITS.CATCHES_KEPT_MAX) break
      this.#taken.delete(oldest)
    }
  }

  /** `unit` is decided otherwise than before: who was caught on it gets back what it lost. Returns them. */
  overturn(unit: string, now: number): string[] {
    const taken = this.#taken.get(unit) ?? []
    this.#taken.delete(unit)
    for (const { peer, lost } of taken) {
      this.#write(peer, exonerated(this.evidence(peer, now), lost, now, this.#assumed))
    }
    return taken.map(({ peer }) => peer)
  }

  #write(peer: string, evidence: Evidence): void {
    this.#known.delete(peer)
    this.#known.set(peer, evidence)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= LIMITS.PEERS_CREDITED_MAX) break
      this.#known.delete(oldest)
    }
  }
}
