/** Small numbers for long peer ids, so that a row of results names its peers in a few bytes. */

import type { StatementSync } from 'node:sqlite'
import type { Ledger } from './ledger.ts'

export class PeerNumbers {
  readonly #insert: StatementSync
  readonly #selectNumber: StatementSync
  readonly #selectId: StatementSync
  readonly #byId = new Map<string, number>()
  readonly #byNumber = new Map<number, string>()

  constructor(ledger: Ledger) {
    this.#insert = ledger.db.prepare('INSERT INTO peers (id) VALUES (?)')
    this.#selectNumber = ledger.db.prepare('SELECT n FROM peers WHERE id = ?')
    this.#selectId = ledger.db.prepare('SELECT id FROM peers WHERE n = ?')
    // A number given out in a transaction that was rolled back is nobody's, and will be another peer's.
    ledger.onRollback(() => {
      this.#byId.clear()
      this.#byNumber.clear()
    })
  }

  /** Gives the peer a number if it has none yet. */
  numberOf(id: string): number {
    return this.find(id) ?? this.#remember(Number(this.#insert.run(id).lastInsertRowid), id)
  }

  /** Null for a peer never written down. */
  find(id: string): number | null {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const row = this.#selectNumber.get(id)
    return row === undefined ? null : this.#remember(Number(row.n), id)
  }

  idOf(n: number): string {
    const known = this.#byNumber.get(n)
    if (known !== undefined) return known
    const row = this.#selectId.get(n)
    if (row === undefined) throw new Error(`no peer has number ${n}`)
    const id = String(row.id)
    this.#remember(n, id)
    return id
  }

  #remember(n: number, id: string): number {
    this.#byId.set(id, n)
    this.#byNumber.set(n, id)
    return n
  }
}
