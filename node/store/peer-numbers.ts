/** Small numbers for long peer ids, so that a row of results names its peers in a few bytes. */

import type { Ledger } from './ledger.ts'

export class PeerNumbers {
  readonly #ledger: Ledger
  readonly #byId = new Map<string, number>()
  readonly #byNumber = new Map<number, string>()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
    for (const row of ledger.db.prepare('SELECT n, id FROM peers').iterate())
      this.#remember(Number(row.n), String(row.id))
  }

  numberOf(id: string): number {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const { lastInsertRowid } = this.#ledger.db.prepare('INSERT INTO peers (id) VALUES (?)').run(id)
    return this.#remember(Number(lastInsertRowid), id)
  }

  idOf(n: number): string {
    const id = this.#byNumber.get(n)
    if (id === undefined) throw new Error(`no peer has number ${n}`)
    return id
  }

  #remember(n: number, id: string): number {
    this.#byId.set(id, n)
    this.#byNumber.set(n, id)
    return n
  }
}
