/** What workers told of attempts beside their ends: the last few of each unit, so much of each job. */

import type { StatementSync } from 'node:sqlite'
import { LIMITS } from '../../protocol/limits.ts'
import { type KeptReport, keptReportSchema } from '../../protocol/report.ts'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'

/** What a row takes beside its text. */
const ROW_BYTES = 64
/** So many go at once when a job has too many. */
const DROPPED_AT_ONCE = 64

export class ReportStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers
  readonly #insert: StatementSync
  readonly #dropOfUnit: StatementSync
  /** By job; what a job has is added up when it is first asked for. */
  readonly #bytes = new Map<number, number>()

  constructor({ ledger, peers }: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = ledger
    this.#peers = peers
    this.#insert = ledger.db.prepare(
      'INSERT INTO reports (job, unit, peer, failed, bytes, report) VALUES (?, ?, ?, ?, ?, ?)',
    )
    this.#dropOfUnit = ledger.db.prepare(
      `DELETE FROM reports WHERE n IN (SELECT n FROM reports WHERE job = ? AND unit = ? ORDER BY n DESC LIMIT -1 OFFSET ?)
       RETURNING bytes`,
    )
    ledger.onRollback(() => this.#bytes.clear())
  }

  /** The oldest of the unit go beyond its bound; beyond that of the job the oldest that tell of no failure go first. Call within a transaction. */
  keep(job: number, peer: string, report: KeptReport): void {
    const text = JSON.stringify(report)
    const bytes = Buffer.byteLength(text) + ROW_BYTES
    let held = this.#bytesOf(job) + bytes
    this.#insert.run(job, report.unit, this.#peers.numberOf(peer), report.code === null ? 0 : 1, bytes, text)
    held -= sumOf(this.#dropOfUnit.all(job, report.unit, LIMITS.UNIT_REPORTS_MAX))
    while (held > LIMITS.JOB_REPORTS_MAX_BYTES) held -= this.#dropOldest(job)
    this.#bytes.set(job, held)
  }

  /** Its number may become another job's. */
  forget(job: number): void {
    this.#bytes.delete(job)
  }

  /** Oldest first. */
  of(job: number, unit: number): { peer: string; report: KeptReport }[] {
    return this.#ledger.db
      .prepare('SELECT peer, report FROM reports WHERE job = ? AND unit = ? ORDER BY n')
      .all(job, unit)
      .map((row) => ({
        peer: this.#peers.idOf(Number(row.peer)),
        report: keptReportSchema.parse(JSON.parse(String(row.report))),
      }))
  }

  #bytesOf(job: number): number {
    const known = this.#bytes.get(job)
    if (known !== undefined) return known
    return Number(
      this.#ledger.db.prepare('SELECT TOTAL(bytes) AS bytes FROM reports WHERE job = ?').get(job)?.bytes ?? 0,
    )
  }

  #dropOldest(job: number): number {
    return sumOf(
      this.#ledger.db
        .prepare(
          `DELETE FROM reports WHERE n IN (SELECT n FROM reports WHERE job = ? ORDER BY failed, n LIMIT ?)
           RETURNING bytes`,
        )
        .all(job, DROPPED_AT_ONCE),
    )
  }
}

const sumOf = (rows: readonly Record<string, unknown>[]): number =>
  rows.reduce((sum, { bytes }) => sum + Number(bytes), 0)
