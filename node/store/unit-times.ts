/** How long units of a task took the last time a job with it ended: on one slot of speed 1, milliseconds. */

import { LIMITS } from '../../protocol/limits.ts'
import type { Ledger } from './ledger.ts'

export type UnitTime = {
  job: string
  unitMs: number
  /** Units it was measured on. */
  units: number
}

export class UnitTimes {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Replaces what was known of the task; the oldest go beyond the bound. Call within a transaction. */
  keep(task: string, { job, unitMs, units }: UnitTime): void {
    const { db } = this.#ledger
    db.prepare('INSERT OR REPLACE INTO unit_times VALUES (?, ?, ?, ?)').run(task, job, unitMs, units)
    db.prepare('DELETE FROM unit_times WHERE rowid <= (SELECT MAX(rowid) FROM unit_times) - ?').run(
      LIMITS.UNIT_TIMES_MAX,
    )
  }

  of(task: string): UnitTime | null {
    const row = this.#ledger.db.prepare('SELECT * FROM unit_times WHERE task = ?').get(task)
    return row === undefined ? null : { job: String(row.job), unitMs: Number(row.unit_ms), units: Number(row.units) }
  }
}
