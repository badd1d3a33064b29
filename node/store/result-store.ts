/**
 * Results of units in the ledger. A result, once kept, is only changed after it was withdrawn, and has a new place in the order of
 * completion then: whoever reads on from a cursor sees it.
 */

import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'
import type { UnitFileRefs } from './unit-file-refs.ts'

/** Who said what on a unit; `digest` is null for a failure, `code` for a value. */
export type StoredVoice = { peer: string; digest: string | null; code: string | null }

export type StoredResult = {
  unit: number
  /** Place in the order of completion, from 1; a cursor to read on from. */
  seq: number
  ok: boolean
  /** The value as canonical JSON, or the message of the failure. */
  value: string | null
  code: string | null
  blame: string | null
  voices: StoredVoice[]
  attempts: number
  disagreed: boolean
  /** The probability that the value is wrong, where that is known. */
  error: number | null
  /** How often the unit was decided before, and that withdrawn. */
  revision: number
}

/** More was heard on a unit that is decided. */
type Confirmed = Pick<StoredResult, 'unit' | 'voices' | 'attempts' | 'error'>

/** What `#toResult` reads. Rows as arrays: of a million results each name of a column less counts. */
const COLUMNS = 'unit, seq, ok, value, code, blame, voices, attempts, disagreed, error, revision'

export class ResultStore {
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers
  readonly #unitFiles: UnitFileRefs
  readonly #insert: StatementSync

  constructor(components: { ledger: Ledger; peers: PeerNumbers; unitFiles: UnitFileRefs }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
    this.#unitFiles = components.unitFiles
    this.#insert = components.ledger.db.prepare(
      `INSERT INTO results (job, unit, seq, ok, value, code, blame, voices, attempts, disagreed, error)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (job, unit) DO UPDATE SET seq = excluded.seq, ok = excluded.ok, value = excluded.value,
       code = excluded.code, blame = excluded.blame, voices = excluded.voices, attempts = excluded.attempts,
       disagreed = excluded.disagreed, error = excluded.error, revision = revision + 1, withdrawn = 0
       WHERE withdrawn = 1`,
    )
  }

  /** Keeps a decision; false if one stands already: the first does. Call within a transaction. */
  keep(job: number, result: StoredResult): boolean {
    const voices = JSON.stringify(result.voices.map((voice) => this.#packVoice(voice)))
    const { changes } = this.#insert.run(
      job,
      result.unit,
      result.seq,
      result.ok ? 1 : 0,
      result.value,
      result.code,
      result.blame,
      voices,
      result.attempts,
      result.disagreed ? 1 : 0,
      result.error,
    )
    if (changes > 0 && result.ok) this.#unitFiles.keep(job, result.unit, result.value ?? '')
    return changes > 0
  }

  /** More was said on a unit, and its decision stands. Call within a transaction. */
  confirm(job: number, { unit, voices, attempts, error }: Confirmed): void {
    const packed = JSON.stringify(voices.map((voice) => this.#packVoice(voice)))
    this.#ledger.db
      .prepare('UPDATE results SET voices = ?, attempts = ?, error = COALESCE(?, error) WHERE job = ? AND unit = ?')
      .run(packed, attempts, error, job, unit)
  }

  /** The decision does not stand: it is shown no more, until there is another. Returns it. Call within a transaction. */
  withdraw(job: number, unit: number): StoredResult | null {
    const update = `UPDATE results SET withdrawn = 1 WHERE job = ? AND unit = ? AND withdrawn = 0 RETURNING ${COLUMNS}`
    const [row] = this.#read(update, job, unit)
    return row ?? null
  }

  /** At most `limit` standing decisions on units that one of these peers spoke on, by unit, after a cursor. */
  spokenOnBy(job: number, peers: readonly string[], after: number, limit: number): StoredResult[] {
    const numbers = peers.map((peer) => this.#peers.find(peer)).filter((n) => n !== null)
    if (numbers.length === 0) return []
    // As voices are packed: [[7,"digest",null],[12,...]].
    const patterns = numbers.map((n) => `%[${n},%`)
    const spoken = patterns.map(() => 'voices LIKE ?').join(' OR ')
    const select = `SELECT ${COLUMNS} FROM results WHERE job = ? AND unit > ? AND withdrawn = 0`
    return [...this.#read(`${select} AND (${spoken}) ORDER BY unit LIMIT ?`, job, after, ...patterns, limit)]
  }

  /** Calls back with each unit of a job that was ever decided, and whether that stands. */
  eachDecided(job: number, visit: (unit: number, seq: number, stands: boolean) => void): void {
    const rows = this.#ledger.db.prepare('SELECT unit, seq, withdrawn FROM results WHERE job = ?').iterate(job)
    for (const row of rows) {
      visit(Number(row.unit), Number(row.seq), row.withdrawn === 0)
    }
  }

  /** In order. */
  *failedUnits(job: number): Iterable<number> {
    const rows = this.#ledger.db
      .prepare('SELECT unit FROM results WHERE job = ? AND ok = 0 AND withdrawn = 0 ORDER BY unit')
      .iterate(job)
    for (const { unit } of rows) yield Number(unit)
  }

  /** The place of the last decision. */
  lastSeq(job: number): number {
    return Number(this.#ledger.db.prepare('SELECT MAX(seq) AS seq FROM results WHERE job = ?').get(job)?.seq ?? 0)
  }

  /** Results after a cursor, of completion (`seq`) or of input (`unit`; begin with -1). To be read in one turn of the event loop. */
  after(job: number, order: 'seq' | 'unit', cursor: number, only: 'all' | 'failed' = 'all'): Generator<StoredResult> {
    const failed = only === 'failed' ? 'AND ok = 0' : ''
    const select = `SELECT ${COLUMNS} FROM results WHERE job = ? AND ${order} > ? AND withdrawn = 0`
    return this.#read(`${select} ${failed} ORDER BY ${order}`, job, cursor)
  }

  /** At most `limit` of them. */
  page(job: number, order: 'seq' | 'unit', cursor: number, limit: number): StoredResult[] {
    return this.after(job, order, cursor).take(limit).toArray()
  }

  #packVoice({ peer, digest, code }: StoredVoice): [number, string | null, string | null] {
    return [this.#peers.numberOf(peer), digest, code]
  }

  *#read(sql: string, ...parameters: SQLInputValue[]): Generator<StoredResult> {
    const statement = this.#ledger.db.prepare(sql)
    statement.setReturnArrays(true)
    for (const row of statement.iterate(...parameters)) yield this.#toResult(row as unknown as SQLOutputValue[])
  }

  #toResult(row: readonly SQLOutputValue[]): StoredResult {
    const [unit, seq, ok, value, code, blame, packed, attempts, disagreed, error, revision] = row
    const voices: [number, string | null, string | null][] = JSON.parse(String(packed))
    return {
      unit: Number(unit),
      seq: Number(seq),
      ok: ok === 1,
      value: textOf(value),
      code: textOf(code),
      blame: textOf(blame),
      voices: voices.map(([n, digest, code]) => ({ peer: this.#peers.idOf(n), digest, code })),
      attempts: Number(attempts),
      disagreed: disagreed === 1,
      error: error === null ? null : Number(error),
      revision: Number(revision),
    }
  }
}

const textOf = (value: SQLOutputValue | undefined): string | null => (value === null ? null : String(value))
