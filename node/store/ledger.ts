/**
 * The ledger: one SQLite file with everything a node must not forget. A write is on disk when the call returns
 * (WAL, synchronous = FULL); callers group writes in `transaction` so that the cost is per frame, not per unit.
 */

import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { TalkootError } from '../../protocol/errors.ts'

/** The tables of version 1. */
const TABLES = `
CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE jobs (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, units INTEGER NOT NULL, manifest BLOB NOT NULL, signature BLOB NOT NULL,
  state TEXT NOT NULL, created_ms INTEGER NOT NULL, ended_ms INTEGER,
  accepted INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, executions INTEGER NOT NULL DEFAULT 0,
  disagreements INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE peers (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE results (
  job INTEGER NOT NULL, unit INTEGER NOT NULL, seq INTEGER NOT NULL, ok INTEGER NOT NULL, value TEXT,
  code TEXT, blame TEXT, voices TEXT NOT NULL, attempts INTEGER NOT NULL, disagreed INTEGER NOT NULL,
  PRIMARY KEY (job, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_by_seq ON results (job, seq);
CREATE INDEX failed_by_seq ON results (job, seq) WHERE ok = 0;
CREATE INDEX failed_by_unit ON results (job, unit) WHERE ok = 0;
CREATE TABLE job_peers (
  job INTEGER NOT NULL, peer INTEGER NOT NULL, accepted INTEGER NOT NULL, PRIMARY KEY (job, peer)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (job INTEGER NOT NULL, peer INTEGER NOT NULL, receipt BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE INDEX receipts_by_job ON receipts (job);
CREATE TABLE evidence (
  peer INTEGER PRIMARY KEY, agreed INTEGER NOT NULL, outvoted INTEGER NOT NULL, lapsed INTEGER NOT NULL, faulty INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL, role TEXT NOT NULL, uses_max INTEGER NOT NULL, uses_left INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, revoked INTEGER NOT NULL
) STRICT;
CREATE TABLE token_users (token TEXT NOT NULL, peer TEXT NOT NULL, PRIMARY KEY (token, peer)) STRICT, WITHOUT ROWID;
CREATE TABLE revocations (id TEXT PRIMARY KEY, revocation BLOB NOT NULL) STRICT;
CREATE TABLE known_peers (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, addresses TEXT NOT NULL) STRICT;
`

/** What each later version changes; an older program refuses a newer ledger. */
const MIGRATIONS = [
  // 2: jobs can be held, and go on although a job they follow failed; how long units of a task take.
  `ALTER TABLE jobs ADD COLUMN held_ms INTEGER;
   ALTER TABLE jobs ADD COLUMN waived INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE unit_times (task TEXT PRIMARY KEY, job TEXT NOT NULL, unit_ms REAL NOT NULL, units INTEGER NOT NULL) STRICT;`,
  // 3: how much work each peer did for this node.
  `ALTER TABLE evidence ADD COLUMN served INTEGER NOT NULL DEFAULT 0;`,
  // 4: how much was run in vain.
  `ALTER TABLE jobs ADD COLUMN wasted INTEGER NOT NULL DEFAULT 0;`,
  // 5: a receipt is kept once; certificates of peers.
  `DELETE FROM receipts WHERE rowid NOT IN (SELECT MIN(rowid) FROM receipts GROUP BY job, signature);
   CREATE UNIQUE INDEX receipts_once ON receipts (job, signature);
   CREATE TABLE certificates (peer TEXT PRIMARY KEY, chain BLOB NOT NULL) STRICT, WITHOUT ROWID;`,
  // 6: what peers' words are worth; decisions that are withdrawn and made again, and how likely they are wrong.
  `ALTER TABLE evidence ADD COLUMN checks REAL NOT NULL DEFAULT 0;
   ALTER TABLE evidence ADD COLUMN caught REAL NOT NULL DEFAULT 0;
   ALTER TABLE evidence ADD COLUMN credited_ms INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE jobs ADD COLUMN check_key BLOB;
   UPDATE jobs SET check_key = randomblob(32);
   ALTER TABLE jobs ADD COLUMN error_sum REAL NOT NULL DEFAULT 0;
   ALTER TABLE results ADD COLUMN error REAL;
   ALTER TABLE results ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE results ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;`,
  // 7: peers and operators that are blocked or trusted.
  `CREATE TABLE peer_rules (
     kind TEXT NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, since_ms INTEGER NOT NULL,
     PRIMARY KEY (kind, who)
   ) STRICT, WITHOUT ROWID;`,
  // 8: why a job was stopped.
  `ALTER TABLE jobs ADD COLUMN finding TEXT;`,
  // 9: what workers told of attempts beside their ends.
  `CREATE TABLE reports (
     n INTEGER PRIMARY KEY, job INTEGER NOT NULL, unit INTEGER NOT NULL, peer INTEGER NOT NULL, failed INTEGER NOT NULL,
     bytes INTEGER NOT NULL, report TEXT NOT NULL
   ) STRICT;
   CREATE INDEX reports_by_unit ON reports (job, unit);
   CREATE INDEX reports_by_failed ON reports (job, failed);`,
  // 10: files of units by who needs them.
  `CREATE TABLE unit_files (
     job INTEGER NOT NULL, unit INTEGER NOT NULL, tree TEXT NOT NULL, PRIMARY KEY (job, unit)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX unit_files_by_tree ON unit_files (tree);
   INSERT INTO unit_files SELECT job, unit, value ->> '$.files.digest' FROM results
     WHERE ok = 1 AND instr(value, '"files":') > 0 AND json_type(value, '$.files.digest') = 'text';`,
  // 11: what was taken from peers that were caught, until it is sure that they were wrong.
  `CREATE TABLE catches (
     job INTEGER NOT NULL, unit INTEGER NOT NULL, peer INTEGER NOT NULL, checks REAL NOT NULL, caught REAL NOT NULL,
     at_ms INTEGER NOT NULL, PRIMARY KEY (job, unit, peer)
   ) STRICT, WITHOUT ROWID;`,
]

const LEDGER_VERSION = MIGRATIONS.length + 1

export interface Ledger {
  readonly db: DatabaseSync
  /** Runs `work` in one transaction: all of it is kept, or none. Not to be nested. */
  transaction<T>(work: () => T): T
  /** Calls back after each transaction of which nothing was kept: what memory took from it must go. */
  onRollback(listener: () => void): void
  close(): void
}

/** @throws E_LEDGER_CORRUPT, E_LEDGER_VERSION, E_DISK_FULL */
export function openLedger(file: string): Ledger {
  let db: DatabaseSync | undefined
  try {
    if (!existsSync(file)) createLedger(file)
    // SQLite takes an empty file for a new database; here it is one that was cut off.
    if (statSync(file).size === 0) throw new TalkootError('E_LEDGER_CORRUPT', `${file} is empty`)
    db = new DatabaseSync(file)
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000',
    )
    checkWhole(db, file)
    migrate(db)
    letShrink(db)
  } catch (thrown) {
    db?.close()
    throw ledgerError(thrown, file)
  }
  return new SqliteLedger(db, file)
}

class SqliteLedger implements Ledger {
  readonly db: DatabaseSync
  readonly #file: string
  readonly #rollbackListeners: (() => void)[] = []
  #open = true

  constructor(db: DatabaseSync, file: string) {
    this.db = db
    this.#file = file
  }

  transaction<T>(work: () => T): T {
    try {
      this.db.exec('BEGIN IMMEDIATE')
      const result = work()
      this.db.exec('COMMIT')
      return result
    } catch (thrown) {
      if (this.db.isTransaction) this.db.exec('ROLLBACK')
      for (const listener of this.#rollbackListeners) listener()
      throw ledgerError(thrown, this.#file)
    }
  }

  onRollback(listener: () => void): void {
    this.#rollbackListeners.push(listener)
  }

  close(): void {
    if (this.#open) this.db.close()
    this.#open = false
  }
}

/** Made under another name and renamed, so that a crash on the way leaves no half-made ledger. */
function createLedger(file: string): void {
  const unfinished = `${file}.new`
  rmSync(unfinished, { force: true })
  const db = new DatabaseSync(unfinished)
  db.exec(SHRINKS)
  db.exec(`BEGIN; ${TABLES} ${MIGRATIONS.join('')} PRAGMA user_version = ${LEDGER_VERSION}; COMMIT`)
  db.close()
  renameSync(unfinished, file)
}

function checkWhole(db: DatabaseSync, file: string): void {
  const row = db.prepare('PRAGMA quick_check(1)').get()
  if (row?.quick_check !== 'ok')
    throw new TalkootError('E_LEDGER_CORRUPT', `${file} is damaged: ${String(row?.quick_check)}`)
}

/** Brings an older ledger up to date, whole or not at all. */
function migrate(db: DatabaseSync): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
  if (version < 1 || version > LEDGER_VERSION) {
    throw new TalkootError(
      'E_LEDGER_VERSION',
      `the ledger has version ${version}, this program reads ${LEDGER_VERSION}`,
    )
  }
  if (version === LEDGER_VERSION) return
  try {
    db.exec(
      `BEGIN IMMEDIATE; ${MIGRATIONS.slice(version - 1).join('')} PRAGMA user_version = ${LEDGER_VERSION}; COMMIT`,
    )
  } catch (thrown) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw thrown
  }
}

/** Pages that hold nothing can be given back to the disk. */
const SHRINKS = 'PRAGMA auto_vacuum = INCREMENTAL'
const SHRINKS_VALUE = 2

/** A ledger of before is written anew once. Where there is no room for that, it stays as it is, and is tried at the next start. */
function letShrink(db: DatabaseSync): void {
  if (db.prepare('PRAGMA auto_vacuum').get()?.auto_vacuum === SHRINKS_VALUE) return
  try {
    db.exec(`${SHRINKS}; VACUUM`)
  } catch (thrown) {
    if (sqliteResultCode(thrown) !== SQLITE_FULL) throw thrown
  }
}

/** SQLite's primary result codes that mean the file, the disk or the place is at fault, not the program. */
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

function ledgerError(thrown: unknown, file: string): unknown {
  const result = sqliteResultCode(thrown)
  if (result === SQLITE_CORRUPT || result === SQLITE_NOTADB) {
    return new TalkootError('E_LEDGER_CORRUPT', `${file} is damaged or not a ledger`, { cause: thrown })
  }
  if (result === SQLITE_FULL || result === SQLITE_IOERR) {
    return new TalkootError('E_DISK_FULL', `${file} cannot be written`, { cause: thrown })
  }
  return thrown
}

function sqliteResultCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return null
  return thrown.errcode & 0xff
}
