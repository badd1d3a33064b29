/**
 * Fixed pieces of work that have nothing to do with talkoot. What the suite measures is kept as a ratio to them, so that
 * a baseline from one machine, or from a busy hour, still means something on another.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'

/** `cpu`: loops a second on two cores together; `rows`: SQLite inserts a second; `spawns`: processes a second. */
export type YardstickName = 'cpu' | 'rows' | 'spawns'

const MEASURE: Record<YardstickName, () => Promise<number>> = { cpu: cpuLoops, rows: sqliteRows, spawns: bareSpawns }

/** Operations a second; takes some tenths of a second. */
export const measureYardstick = (name: YardstickName): Promise<number> => MEASURE[name]()

const THREADS = 2
const LOOP_MS = 150

/** Small objects through JSON and a map: what a node's own work is made of. */
const LOOP = `
const { parentPort, workerData } = require('node:worker_threads')
const end = performance.now() + workerData.ms
let loops = 0
const seen = new Map()
while (performance.now() < end) {
  for (let i = 0; i < 200; i++) {
    const text = JSON.stringify({ unit: i, value: 'v' + i, list: [i, i + 1, i * 0.5] })
    seen.set(text.slice(0, 12), JSON.parse(text))
  }
  loops += 200
}
parentPort.postMessage(loops)
`

async function cpuLoops(): Promise<number> {
  const counts = await Promise.all(
    Array.from({ length: THREADS }, () => {
      const worker = new Worker(LOOP, { eval: true, workerData: { ms: LOOP_MS } })
      return new Promise<number>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0) / (LOOP_MS / 1_000)
}

const BATCHES = 20
const BATCH_ROWS = 2_000

/** In the settings of the ledger: WAL, synchronous = FULL, 2,000 rows a transaction. */
async function sqliteRows(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
  const db = new DatabaseSync(join(folder, 'rows.sqlite'))
  try {
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT',
    )
    const insert = db.prepare('INSERT INTO t VALUES (?, ?)')
    const began = performance.now()
    for (let batch = 0; batch < BATCHES; batch++) {
      db.exec('BEGIN IMMEDIATE')
      for (let row = 0; row < BATCH_ROWS; row++) insert.run(batch * BATCH_ROWS + row, `value ${row}`)
      db.exec('COMMIT')
    }
    return (BATCHES * BATCH_ROWS) / ((performance.now() - began) / 1_000)
  } finally {
    db.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const SPAWNS = 100

async function bareSpawns(): Promise<number> {
  const began = performance.now()
  for (let i = 0; i < SPAWNS; i++) spawnSync('/bin/true')
  return SPAWNS / ((performance.now() - began) / 1_000)
}
