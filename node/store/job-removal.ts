/**
 * Jobs on their way out of the ledger. One that is marked is gone for everybody; its rows go in steps, its own row as the last, so
 * that whatever ends the process, the next goes on.
 */

import type { StatementSync } from 'node:sqlite'
import type { Digest } from '../../protocol/canonical.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { Ledger } from './ledger.ts'

/** In the place of a job's state. */
export const REMOVED = 'removed'

type RemovedJob = { n: number; id: JobId }

/** Whether a step has taken long enough. */
type Enough = () => boolean

/** A few, as each may have 256 KiB. */
const ROWS_AT_ONCE = 32
/** Of 4 KiB. */
const PAGES_AT_ONCE = 64

/** What a job has rows in beside `unit_files`, by a key of the row. */
const TABLES = [
  ['results', 'unit'],
  ['receipts', 'rowid'],
  ['reports', 'n'],
  ['job_peers', 'peer'],
] as const

export class JobRemoval {
  readonly #ledger: Ledger
  readonly #deleteFiles: StatementSync
  readonly #deletes: StatementSync[]

  constructor({ ledger }: { ledger: Ledger }) {
    this.#ledger = ledger
    const some = (table: string, key: string): string =>
      `DELETE FROM ${table} WHERE job = ?1 AND ${key} IN (SELECT ${key} FROM ${table} WHERE job = ?1 LIMIT ${ROWS_AT_ONCE})`
    this.#deleteFiles = ledger.db.prepare(`${some('unit_files', 'unit')} RETURNING tree`)
    this.#deletes = TABLES.map(([table, key]) => ledger.db.prepare(some(table, key)))
  }

  /** Only what has ended; on disk when it returns. @throws E_DISK_FULL */
  mark(jobs: readonly JobId[]): void {
    const mark = this.#ledger.db.prepare(`UPDATE jobs SET state = '${REMOVED}' WHERE id = ? AND state <> 'running'`)
    this.#ledger.transaction(() => {
      for (const id of jobs) mark.run(id)
    })
  }

  /** Oldest first. */
  marked(): RemovedJob[] {
    return this.#ledger.db
      .prepare(`SELECT n, id FROM jobs WHERE state = '${REMOVED}' ORDER BY n`)
      .all()
      .map(({ n, id }) => ({ n: Number(n), id: String(id) }))
  }

  manifestOf({ n }: RemovedJob): Uint8Array {
    return this.#ledger.db.prepare('SELECT manifest FROM jobs WHERE n = ?').get(n)?.manifest as Uint8Array
  }

  /** One step: whether rows are left, and the files that those which went had named. @throws E_DISK_FULL */
  deleteRows({ n }: RemovedJob, enough: Enough): { more: boolean; trees: Digest[] } {
    return this.#ledger.transaction(() => {
      const trees: Digest[] = []
      for (;;) {
        const files = this.#deleteFiles.all(n)
        for (const { tree } of files) trees.push(String(tree))
        if (files.length === 0 && !this.#deletes.some((some) => some.run(n).changes > 0)) return { more: false, trees }
        if (enough()) return { more: true, trees }
      }
    })
  }

  /** The last of them. @throws E_DISK_FULL */
  finish(jobs: readonly RemovedJob[]): void {
    const { db } = this.#ledger
    this.#ledger.transaction(() => {
      for (const { n, id } of jobs) {
        db.prepare('DELETE FROM unit_times WHERE job = ?').run(id)
        db.prepare('DELETE FROM jobs WHERE n = ?').run(n)
      }
    })
  }

  /** One step: gives back to the disk what rows have left of the file; whether there is more. @throws E_DISK_FULL */
  giveBack(enough: Enough): boolean {
    const { db } = this.#ledger
    const pages = (): number => Number(db.prepare('PRAGMA freelist_count').get()?.freelist_count)
    const left = this.#ledger.transaction(() => {
      while (pages() > 0 && !enough()) db.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`)
      return pages()
    })
    if (left > 0) return true
    // What stands in the log of writes comes to its place.
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return false
  }

  /** Of jobs that stay, in their order, after a place. */
  *manifests(after: number, limit: number): Iterable<{ n: number; manifest: Uint8Array }> {
    const rows = this.#ledger.db
      .prepare(`SELECT n, manifest FROM jobs WHERE n > ? AND state <> '${REMOVED}' ORDER BY n LIMIT ?`)
      .all(after, limit)
    for (const { n, manifest } of rows) yield { n: Number(n), manifest: manifest as Uint8Array }
  }
}
