/** First-hand evidence about peers: what this node saw itself, counted. */

import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'

/** `served`: slot time of accepted work, milliseconds; the others count units. */
export type EvidenceKind = 'agreed' | 'outvoted' | 'lapsed' | 'faulty' | 'served'
export type Standing = Record<Exclude<EvidenceKind, 'served'>, number>

export class EvidenceStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
  }

  add(peer: string, kind: EvidenceKind, count: number): void {
    const n = this.#peers.numberOf(peer)
    this.#ledger.db
      .prepare('INSERT OR IGNORE INTO evidence (peer, agreed, outvoted, lapsed, faulty) VALUES (?, 0, 0, 0, 0)')
      .run(n)
    this.#ledger.db.prepare(`UPDATE evidence SET ${kind} = ${kind} + ? WHERE peer = ?`).run(count, n)
  }

  /** Slot time the peer has done for this node, milliseconds. */
  servedMs(peer: string): number {
    const row = this.#ledger.db.prepare('SELECT served FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    return Number(row?.served ?? 0)
  }

  standing(peer: string): Standing {
    const row = this.#ledger.db.prepare('SELECT * FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    const of = (kind: EvidenceKind) => Number(row?.[kind] ?? 0)
    return {
      agreed: of('agreed'),
      outvoted: of('outvoted'),
      lapsed: of('lapsed'),
      faulty: of('faulty'),
    }
  }
}
