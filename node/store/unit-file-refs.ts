/** Which accepted units need which trees of files: what none of them needs can go. */

import type { StatementSync } from 'node:sqlite'
import type { Digest } from '../../protocol/canonical.ts'
import { filesOf } from '../../protocol/data/unit-files.ts'
import type { Ledger } from './ledger.ts'

/** In every value that names files; most values name none, and need not be parsed. */
const NAMES_FILES = '"files":'

export class UnitFileRefs {
  readonly #replace: StatementSync
  readonly #find: StatementSync

  constructor({ db }: Ledger) {
    this.#replace = db.prepare('INSERT OR REPLACE INTO unit_files VALUES (?, ?, ?)')
    this.#find = db.prepare('SELECT 1 FROM unit_files WHERE tree = ? LIMIT 1')
  }

  /** Call within the transaction that keeps the value, which is JSON. */
  keep(job: number, unit: number, value: string): void {
    const files = value.includes(NAMES_FILES) ? filesOf(JSON.parse(value)) : null
    if (files !== null) this.#replace.run(job, unit, files.digest)
  }

  has(tree: Digest): boolean {
    return this.#find.get(tree) !== undefined
  }
}
