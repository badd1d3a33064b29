/** The owner's pause, in the ledger. */

import type { Ledger } from './ledger.ts'

type Pause = { sinceMs: number; untilMs: number | null }

const KEY = 'pause'

export class SqlitePauseStore {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  read(): Pause | null {
    const row = this.#ledger.db.prepare('SELECT value FROM facts WHERE key = ?').get(KEY)
    return row === undefined ? null : JSON.parse(new TextDecoder().decode(row.value as Uint8Array))
  }

  /** On disk when it returns; null forgets it. @throws E_DISK_FULL */
  keep(pause: Pause | null): void {
    const { db } = this.#ledger
    this.#ledger.transaction(() => {
      if (pause === null) db.prepare('DELETE FROM facts WHERE key = ?').run(KEY)
      else {
        const value = new TextEncoder().encode(JSON.stringify(pause))
        db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(KEY, value)
      }
    })
  }
}
