/** Reads a job's results from the ledger, page by page, and follows those still to come. Never holds them all. */

import { setImmediate } from 'node:timers/promises'
import type { ResultRow, ResultsQuery } from '../../protocol/api.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import type { CompiledSweep } from '../../protocol/sweep/generator.ts'
import { blameSchema } from '../../protocol/work.ts'
import type { JobRow, JobStore } from '../store/job-store.ts'
import type { StoredResult } from '../store/result-store.ts'
import type { Changes } from './changes.ts'
import { findingOf } from './finding.ts'

type Components = {
  jobs: JobStore
  changes: Changes<JobId>
  sweepOf(job: JobId): CompiledSweep
  /** Whether decisions of the job may be withdrawn before it ends. */
  mayChange(job: JobId): boolean
}

export class ResultReader {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** The decision on one unit; null: there is none. */
  one({ id, n }: JobRow, unit: number): ResultRow | null {
    const [row] = this.#components.jobs.results.page(n, 'unit', unit - 1, 1)
    return row?.unit === unit ? toRow(row, this.#components.sweepOf(id)) : null
  }

  /**
   * Pages of one row and more. In input order a row waits for all before it, until the job has ended; and where decisions may be
   * withdrawn, for that end: there a row that is given is final. In order of completion a later row of a unit takes the place of an earlier.
   */
  async *read({ id, n }: JobRow, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow[]> {
    const { jobs, changes, sweepOf, mayChange } = this.#components
    const sweep = sweepOf(id)
    const byInput = query.order === 'input'
    using watch = changes.watch(id)
    let cursor = query.after ?? (byInput ? -1 : 0)
    while (!signal.aborted) {
      const row = jobs.row(id)
      if (row === null) throw new TalkootError('E_NOT_FOUND', `job ${id} has been removed`)
      const ended = row.state !== 'running'
      // Who follows is told that nothing more comes by itself.
      const over = ended || findingOf(row) !== null
      const inTurn = byInput && query.follow && !ended
      // Those that succeeded are needed to see the gaps.
      const only = query.failed && !inTurn ? 'failed' : 'all'
      if (inTurn && mayChange(id)) {
        if (over) return
        await watch.next(signal)
        continue
      }
      const stored = jobs.results.after(n, byInput ? 'unit' : 'seq', cursor, only)
      const page = pageOf(inTurn ? contiguous(stored, sweep, cursor) : stored, sweep)
      const last = page.rows.at(-1)
      if (last !== undefined) cursor = byInput ? last.unit : last.seq
      const wanted = query.failed ? page.rows.filter(({ status }) => status === 'failed') : page.rows
      if (wanted.length > 0) yield wanted
      // However long the ledger, others have their turn between two pages.
      if (page.full) await setImmediate()
      else if (!query.follow || over) return
      else await watch.next(signal)
    }
  }
}

function pageOf(results: Iterable<StoredResult>, sweep: CompiledSweep): { rows: ResultRow[]; full: boolean } {
  const rows: ResultRow[] = []
  let chars = 0
  for (const stored of results) {
    const row = toRow(stored, sweep)
    rows.push(row)
    chars += (stored.value?.length ?? 0) + JSON.stringify(row.params).length
    if (rows.length === LIMITS.API_PAGE_ROWS || chars >= LIMITS.API_CHUNK_CHARS) return { rows, full: true }
  }
  return { rows, full: false }
}

/** The rows that follow on one another from the cursor. */
function* contiguous(rows: Iterable<StoredResult>, sweep: CompiledSweep, cursor: number): Iterable<StoredResult> {
  let before = cursor
  for (const row of rows) {
    if (row.unit !== sweep.next(before)) return
    yield row
    before = row.unit
  }
}

export function toRow(stored: StoredResult, sweep: CompiledSweep): ResultRow {
  const { unit, seq, attempts, error, revision } = stored
  const base = {
    unit,
    seq,
    attempts,
    params: sweep.point(unit),
    peers: stored.voices.map((voice) => voice.peer),
    ...(revision === 0 ? {} : { revision }),
  }
  if (stored.ok) {
    const known = error === null ? {} : { confidence: 1 - error }
    return { ...base, status: 'accepted', value: JSON.parse(stored.value ?? 'null'), ...known }
  }
  return {
    ...base,
    status: 'failed',
    error: { code: stored.code ?? 'E_INTERNAL', message: stored.value ?? '' },
    blame: blameSchema.parse(stored.blame),
  }
}
