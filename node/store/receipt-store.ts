/** Receipts as workers signed them, and the certificates that say who the workers are. */

import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { type Chain, chainSchema } from '../../protocol/membership/index.ts'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'

/** `place`: in the order in which they were kept; a cursor to read on from. */
type StoredReceipt = { place: number; peer: string; receipt: Uint8Array; signature: Uint8Array }

export class ReceiptStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
  }

  /** The place of the job's last receipt; 0: it has none. */
  last(job: number): number {
    return Number(
      this.#ledger.db.prepare('SELECT MAX(rowid) AS place FROM receipts WHERE job = ?').get(job)?.place ?? 0,
    )
  }

  /** At most `limit` receipts of a job after a place. */
  page(job: number, after: number, limit: number): StoredReceipt[] {
    return this.#ledger.db
      .prepare(
        `SELECT rowid AS place, peer, receipt, signature FROM receipts INDEXED BY receipts_by_job
         WHERE job = ? AND rowid > ? ORDER BY rowid LIMIT ?`,
      )
      .all(job, after, limit)
      .map((row) => ({
        place: Number(row.place),
        peer: this.#peers.idOf(Number(row.peer)),
        receipt: row.receipt as Uint8Array,
        signature: row.signature as Uint8Array,
      }))
  }

  /** Keeps the newest certificates of a peer; a stranger has none. @throws E_DISK_FULL */
  keepChain(peer: string, chain: Chain): void {
    if (chain.length === 0) return
    const bytes = canonicalBytes(chain)
    const { db } = this.#ledger
    const known = db.prepare('SELECT chain FROM certificates WHERE peer = ?').get(peer)
    if (known !== undefined && Buffer.compare(known.chain as Uint8Array, bytes) === 0) return
    this.#ledger.transaction(() => db.prepare('INSERT OR REPLACE INTO certificates VALUES (?, ?)').run(peer, bytes))
  }

  /** Empty for a peer that showed none. */
  chainOf(peer: string): Chain {
    const row = this.#ledger.db.prepare('SELECT chain FROM certificates WHERE peer = ?').get(peer)
    return row === undefined ? [] : chainSchema.parse(decodeCanonical(row.chain as Uint8Array))
  }
}
