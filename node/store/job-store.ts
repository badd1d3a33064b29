/**
 * Jobs, their results and receipts in the ledger. A result, once kept, is only changed after it was withdrawn, and has a
 * new place in the order of completion then: whoever reads on from a cursor sees it.
 */

import { randomBytes } from 'node:crypto'
import type { StatementSync } from 'node:sqlite'
import type { JobId } from '../../protocol/manifest.ts'
import { REMOVED } from './job-removal.ts'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'
import { ReportStore } from './report-store.ts'
import { UnitFileRefs } from './unit-file-refs.ts'
import { UnitTimes } from './unit-times.ts'

export type JobState = 'running' | 'done' | 'cancelled'

/** A job without its manifest, which may be long. */
export type JobRow = {
  n: number
  id: JobId
  units: number
  state: JobState
  /** This machine's own clock; shown as an age, never compared with another machine's. */
  createdMs: number
  endedMs: number | null
  /** Since when it is held; null: it is not. */
  heldMs: number | null
  /** It goes on although a job it follows failed. */
  waived: boolean
  /** Why it was stopped, as JSON; null: it was not. */
  finding: string | null
  totals: JobTotals
}

/** `checkKey`: draws the units that are checked; told to nobody. */
export type StoredJob = JobRow & { manifest: Uint8Array; signature: Uint8Array; checkKey: Uint8Array }

/**
 * Executions are attempts that ended or were cut off, wasted those not needed; disagreements are units on which peers did
 * not agree; errorSum is how many of the accepted values are expected to be wrong, as far as that is known.
 */
export type JobTotals = {
  accepted: number
  failed: number
  executions: number
  wasted: number
  disagreements: number
  errorSum: number
}

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

const CHECK_KEY_BYTES = 32

const ROW_COLUMNS =
  'n, id, units, state, created_ms, ended_ms, held_ms, waived, accepted, failed, executions, wasted, disagreements, error_sum, finding'

/** What `JobRemoval` takes away is not there for anybody else. */
const STAYS = `state <> '${REMOVED}'`

export class JobStore {
  readonly unitTimes: UnitTimes
  readonly reports: ReportStore
  readonly unitFiles: UnitFileRefs
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers
  readonly #insertResult: StatementSync
  readonly #insertReceipt: StatementSync
  readonly #addTotals: StatementSync

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
    this.unitTimes = new UnitTimes(components.ledger)
    this.reports = new ReportStore(components)
    this.unitFiles = new UnitFileRefs(components.ledger)
    this.#insertResult = this.#ledger.db.prepare(
      `INSERT INTO results (job, unit, seq, ok, value, code, blame, voices, attempts, disagreed, error)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (job, unit) DO UPDATE SET seq = excluded.seq, ok = excluded.ok, value = excluded.value,
       code = excluded.code, blame = excluded.blame, voices = excluded.voices, attempts = excluded.attempts,
       disagreed = excluded.disagreed, error = excluded.error, revision = revision + 1, withdrawn = 0
       WHERE withdrawn = 1`,
    )
    this.#insertReceipt = this.#ledger.db.prepare('INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?)')
    this.#addTotals = this.#ledger.db.prepare(
      `UPDATE jobs SET accepted = accepted + ?, failed = failed + ?, executions = executions + ?,
       wasted = wasted + ?, disagreements = disagreements + ?, error_sum = MAX(0, error_sum + ?) WHERE n = ?`,
    )
  }

  /** On disk when it returns. @throws E_DISK_FULL */
  add(job: Pick<StoredJob, 'id' | 'units' | 'manifest' | 'signature' | 'createdMs'>): StoredJob {
    const checkKey = randomBytes(CHECK_KEY_BYTES)
    this.#ledger.transaction(() =>
      this.#ledger.db
        .prepare(
          'INSERT INTO jobs (id, units, manifest, signature, state, created_ms, check_key) VALUES (?, ?, ?, ?, ?, ?, ?)',
        )
        .run(job.id, job.units, job.manifest, job.signature, 'running', job.createdMs, checkKey),
    )
    const stored = this.get(job.id)
    if (stored === null) throw new Error('a job just written is not there')
    return stored
  }

  get(id: JobId): StoredJob | null {
    const row = this.#ledger.db.prepare(`SELECT * FROM jobs WHERE id = ? AND ${STAYS}`).get(id)
    return row === undefined ? null : toJob(row)
  }

  row(id: JobId): JobRow | null {
    const row = this.#ledger.db.prepare(`SELECT ${ROW_COLUMNS} FROM jobs WHERE id = ? AND ${STAYS}`).get(id)
    return row === undefined ? null : toRow(row)
  }

  /** The jobs whose id begins so, two at most: enough to know that it is not one. */
  find(prefix: string): JobRow[] {
    return this.#ledger.db
      .prepare(`SELECT ${ROW_COLUMNS} FROM jobs WHERE id >= ?1 AND id < ?1 || '~' AND ${STAYS} LIMIT 2`)
      .all(prefix)
      .map(toRow)
  }

  /** Newest first. */
  list(): JobRow[] {
    return this.#ledger.db.prepare(`SELECT ${ROW_COLUMNS} FROM jobs WHERE ${STAYS} ORDER BY n DESC`).all().map(toRow)
  }

  /** Oldest first. */
  running(): StoredJob[] {
    return this.#ledger.db.prepare(`SELECT * FROM jobs WHERE state = 'running' ORDER BY n`).all().map(toJob)
  }

  counts(): Record<JobState, number> {
    const counts = { running: 0, done: 0, cancelled: 0 }
    const rows = this.#ledger.db.prepare(`SELECT state, COUNT(*) AS jobs FROM jobs WHERE ${STAYS} GROUP BY state`)
    for (const row of rows.iterate()) counts[String(row.state) as JobState] = Number(row.jobs)
    return counts
  }

  /** The first end of a job stands. */
  end(n: number, state: Exclude<JobState, 'running'>, endedMs: number): void {
    this.#ledger.db
      .prepare(`UPDATE jobs SET state = ?, ended_ms = ? WHERE n = ? AND state = 'running'`)
      .run(state, endedMs, n)
  }

  /** On disk when it returns. A job that is held already was held since then. @throws E_DISK_FULL */
  hold(n: number, heldMs: number): void {
    this.#ledger.transaction(() =>
      this.#ledger.db.prepare('UPDATE jobs SET held_ms = COALESCE(held_ms, ?) WHERE n = ?').run(heldMs, n),
    )
  }

  /** Held, and why: by what was found in its results. On disk when it returns. @throws E_DISK_FULL */
  stop(n: number, heldMs: number, finding: string): void {
    this.#ledger.transaction(() =>
      this.#ledger.db
        .prepare('UPDATE jobs SET held_ms = COALESCE(held_ms, ?), finding = ? WHERE n = ?')
        .run(heldMs, finding, n),
    )
  }

  /** On disk when it returns. @throws E_DISK_FULL */
  release(n: number, { waive }: { waive: boolean }): void {
    this.#ledger.transaction(() =>
      this.#ledger.db
        .prepare('UPDATE jobs SET held_ms = NULL, finding = NULL, waived = MAX(waived, ?) WHERE n = ?')
        .run(waive ? 1 : 0, n),
    )
  }

  /** Keeps a decision; false if one stands already: the first does. Call within a transaction. */
  keepResult(job: number, result: StoredResult): boolean {
    const voices = JSON.stringify(result.voices.map((voice) => this.#packVoice(voice)))
    const { changes } = this.#insertResult.run(
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
    if (changes > 0 && result.ok) this.unitFiles.keep(job, result.unit, result.value ?? '')
    return changes > 0
  }

  /** More was said on a unit, and its decision stands. Call within a transaction. */
  confirmResult(job: number, { unit, voices, attempts, error }: Confirmed): void {
    const packed = JSON.stringify(voices.map((voice) => this.#packVoice(voice)))
    this.#ledger.db
      .prepare('UPDATE results SET voices = ?, attempts = ?, error = COALESCE(?, error) WHERE job = ? AND unit = ?')
      .run(packed, attempts, error, job, unit)
  }

  /** The decision does not stand: it is shown no more, until there is another. Returns it. Call within a transaction. */
  withdrawResult(job: number, unit: number): StoredResult | null {
    const row = this.#ledger.db
      .prepare('UPDATE results SET withdrawn = 1 WHERE job = ? AND unit = ? AND withdrawn = 0 RETURNING *')
      .get(job, unit)
    return row === undefined ? null : this.#toResult(row)
  }

  /** At most `limit` standing decisions on units that one of these peers spoke on, by unit, after a cursor. */
  spokenOnBy(job: number, peers: readonly string[], after: number, limit: number): StoredResult[] {
    const numbers = peers.map((peer) => this.#peers.find(peer)).filter((n) => n !== null)
    if (numbers.length === 0) return []
    // As voices are packed: [[7,"digest",null],[12,...]].
    const patterns = numbers.map((n) => `%[${n},%`)
    const spoken = patterns.map(() => 'voices LIKE ?').join(' OR ')
    return this.#ledger.db
      .prepare(
        `SELECT * FROM results WHERE job = ? AND unit > ? AND withdrawn = 0 AND (${spoken}) ORDER BY unit LIMIT ?`,
      )
      .all(job, after, ...patterns, limit)
      .map((row) => this.#toResult(row))
  }

  /** Keeps a worker's signed receipt, once. Call within a transaction. */
  keepReceipt(job: number, peer: string, receipt: Uint8Array, signature: Uint8Array): void {
    this.#insertReceipt.run(job, this.#peers.numberOf(peer), receipt, signature)
  }

  /** Adds to a job's totals. Call within the transaction that keeps what they count. */
  addTotals(job: number, totals: JobTotals): void {
    this.#addTotals.run(
      totals.accepted,
      totals.failed,
      totals.executions,
      totals.wasted,
      totals.disagreements,
      totals.errorSum,
      job,
    )
  }

  /** Counts units a peer's result decided. Call within the transaction that keeps what it counts. */
  credit(job: number, peer: string, accepted: number): void {
    this.#ledger.db
      .prepare(
        `INSERT INTO job_peers VALUES (?1, ?2, ?3) ON CONFLICT (job, peer) DO UPDATE SET accepted = accepted + ?3`,
      )
      .run(job, this.#peers.numberOf(peer), accepted)
  }

  /** Peers whose results decided units of a job, most first. */
  creditOf(job: number): { peer: string; accepted: number }[] {
    return this.#ledger.db
      .prepare('SELECT peer, accepted FROM job_peers WHERE job = ? ORDER BY accepted DESC')
      .all(job)
      .map((row) => ({ peer: this.#peers.idOf(Number(row.peer)), accepted: Number(row.accepted) }))
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

  /** At most `limit` results after a cursor: of completion (`seq`) or of input (`unit`; begin with -1). */
  results(
    job: number,
    order: 'seq' | 'unit',
    after: number,
    limit: number,
    only: 'all' | 'failed' = 'all',
  ): StoredResult[] {
    const failed = only === 'failed' ? 'AND ok = 0' : ''
    return this.#ledger.db
      .prepare(
        `SELECT * FROM results WHERE job = ? AND ${order} > ? AND withdrawn = 0 ${failed} ORDER BY ${order} LIMIT ?`,
      )
      .all(job, after, limit)
      .map((row) => this.#toResult(row))
  }

  #packVoice({ peer, digest, code }: StoredVoice): [number, string | null, string | null] {
    return [this.#peers.numberOf(peer), digest, code]
  }

  #toResult(row: Record<string, unknown>): StoredResult {
    const voices: [number, string | null, string | null][] = JSON.parse(String(row.voices))
    return {
      unit: Number(row.unit),
      seq: Number(row.seq),
      ok: row.ok === 1,
      value: row.value === null ? null : String(row.value),
      code: row.code === null ? null : String(row.code),
      blame: row.blame === null ? null : String(row.blame),
      voices: voices.map(([n, digest, code]) => ({ peer: this.#peers.idOf(n), digest, code })),
      attempts: Number(row.attempts),
      disagreed: row.disagreed === 1,
      error: row.error === null ? null : Number(row.error),
      revision: Number(row.revision),
    }
  }
}

function toJob(row: Record<string, unknown>): StoredJob {
  return {
    ...toRow(row),
    manifest: row.manifest as Uint8Array,
    signature: row.signature as Uint8Array,
    checkKey: row.check_key as Uint8Array,
  }
}

function toRow(row: Record<string, unknown>): JobRow {
  return {
    n: Number(row.n),
    id: String(row.id),
    units: Number(row.units),
    state: String(row.state) as JobState,
    createdMs: Number(row.created_ms),
    endedMs: row.ended_ms === null ? null : Number(row.ended_ms),
    heldMs: row.held_ms === null ? null : Number(row.held_ms),
    waived: row.waived === 1,
    finding: row.finding === null ? null : String(row.finding),
    totals: {
      accepted: Number(row.accepted),
      failed: Number(row.failed),
      executions: Number(row.executions),
      wasted: Number(row.wasted),
      disagreements: Number(row.disagreements),
      errorSum: Number(row.error_sum),
    },
  }
}
