/** Jobs in the ledger: what they are, how far they are, and who worked on them. */

import { randomBytes } from 'node:crypto'
import type { StatementSync } from 'node:sqlite'
import type { JobId } from '../../protocol/manifest.ts'
import { REMOVED } from './job-removal.ts'
import type { Ledger } from './ledger.ts'
import type { PeerNumbers } from './peer-numbers.ts'
import { ReportStore } from './report-store.ts'
import { ResultStore } from './result-store.ts'
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

const CHECK_KEY_BYTES = 32

const ROW_COLUMNS =
  'n, id, units, state, created_ms, ended_ms, held_ms, waived, accepted, failed, executions, wasted, disagreements, error_sum, finding'

/** What `JobRemoval` takes away is not there for anybody else. */
const STAYS = `state <> '${REMOVED}'`

export class JobStore {
  readonly unitTimes: UnitTimes
  readonly reports: ReportStore
  readonly unitFiles: UnitFileRefs
  readonly results: ResultStore
  readonly #ledger: Ledger
  readonly #peers: PeerNumbers
  readonly #insertReceipt: StatementSync
  readonly #addTotals: StatementSync

  constructor(components: { ledger: Ledger; peers: PeerNumbers }) {
    this.#ledger = components.ledger
    this.#peers = components.peers
    this.unitTimes = new UnitTimes(components.ledger)
    this.reports = new ReportStore(components)
    this.unitFiles = new UnitFileRefs(components.ledger)
    this.results = new ResultStore({ ...components, unitFiles: this.unitFiles })
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
