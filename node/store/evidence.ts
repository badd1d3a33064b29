/** First-hand evidence about peers: what this node saw itself, counted. */

import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'

export type EvidenceKind = 'agreed' | 'outvoted' | 'lapsed' | 'faulty'
export type Standing = Record<EvidenceKind, number>

export class EvidenceStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
  }

  add(peer: string, kind: EvidenceKind, count: number): void {
    const n = this.#peers.numberOf(peer)
    this.#ledger.db.prepare('INSERT OR IGNORE INTO evidence VALUES (?, 0, 0, 0, 0)').run(n)
    this.#ledger.db.prepare(`UPDATE evidence SET ${kind} = ${kind} + ? WHERE peer = ?`).run(count, n)
  }

  standing(peer: string): Standing {
    const row = this.#ledger.db.prepare('SELECT * FROM evidence WHERE peer = ?').get(this.#peers.find(peer))
    const of = (kind: EvidenceKind) => Number(row?.[kind] ?? 0)
    return { agreed: of('agreed'), outvoted: of('outvoted'), lapsed: of('lapsed'), faulty: of('faulty') }
  }
}
