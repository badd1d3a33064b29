/** Who signed what, and what the results say, side by side on disk: a job may have more units than memory has room for. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** `said`: digest of a value, or code of a failure; `signers`: numbers of those whom the result names. */
export type TalliedResult = { unit: number; digest: Uint8Array; ok: boolean; said: string; signers: number[] }
export type SignedEnd = { unit: number; signer: number; said: string }

const TABLES = `
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE receipts (signature BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE ends (
  unit INTEGER NOT NULL, signer INTEGER NOT NULL, said TEXT NOT NULL, PRIMARY KEY (unit, signer, said)
) STRICT, WITHOUT ROWID;
CREATE TABLE results (
  unit INTEGER PRIMARY KEY, digest BLOB NOT NULL, ok INTEGER NOT NULL, said TEXT NOT NULL, signers TEXT NOT NULL
) STRICT;
BEGIN;
`

export class Tally implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'talkoot-verify-'))
  readonly #db: DatabaseSync
  readonly #addReceipt: StatementSync
  readonly #addEnd: StatementSync
  readonly #addResult: StatementSync

  constructor() {
    this.#db = new DatabaseSync(join(this.#folder, 'tally.sqlite'))
    this.#db.exec(TABLES)
    this.#addReceipt = this.#db.prepare('INSERT OR IGNORE INTO receipts VALUES (?)')
    this.#addEnd = this.#db.prepare('INSERT OR IGNORE INTO ends VALUES (?, ?, ?)')
    this.#addResult = this.#db.prepare('INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?)')
  }

  /** False when it is there already. */
  addReceipt(signature: Uint8Array): boolean {
    return this.#addReceipt.run(signature).changes > 0
  }

  addEnd({ unit, signer, said }: SignedEnd): void {
    this.#addEnd.run(unit, signer, said)
  }

  /** False when the unit is there already. */
  addResult({ unit, digest, ok, said, signers }: TalliedResult): boolean {
    return this.#addResult.run(unit, digest, ok ? 1 : 0, said, JSON.stringify(signers)).changes > 0
  }

  /** Every unit that has a result, in order, with all that was signed of it. */
  *results(): Generator<TalliedResult & { ends: SignedEnd[] }> {
    const all = this.#ends()
    let next = all.next()
    for (const row of this.#db.prepare('SELECT * FROM results ORDER BY unit').iterate()) {
      const unit = Number(row.unit)
      const ends: SignedEnd[] = []
      for (; next.done !== true && next.value.unit <= unit; next = all.next()) {
        if (next.value.unit === unit) ends.push(next.value)
      }
      yield {
        unit,
        digest: row.digest as Uint8Array,
        ok: row.ok === 1,
        said: String(row.said),
        signers: JSON.parse(String(row.signers)),
        ends,
      }
    }
  }

  [Symbol.dispose](): void {
    this.#db.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  *#ends(): Generator<SignedEnd> {
    for (const row of this.#db.prepare('SELECT * FROM ends ORDER BY unit, signer').iterate()) {
      yield { unit: Number(row.unit), signer: Number(row.signer), said: String(row.said) }
    }
  }
}
