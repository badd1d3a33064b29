/** Reads a job's results from the ledger, page by page, and follows those still to come. Never holds them all. */

import type { ResultRow, ResultsQuery } from '../../protocol/api.ts'
import { decodeManifest, type JobId, type Manifest } from '../../protocol/manifest.ts'
import type { CompiledSweep } from '../../protocol/sweep/generator.ts'
import { blameSchema } from '../../protocol/work.ts'
import type { JobStore, StoredJob, StoredResult } from '../store/job-store.ts'
import type { Changes } from './changes.ts'

const PAGE_ROWS = 500

type Components = {
  jobs: JobStore
  changes: Changes<JobId>
  compile(sweep: Manifest['sweep']): CompiledSweep
}

export class ResultReader {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /** In input order a row waits for all before it, until the job has ended. */
  async *read(job: StoredJob, query: ResultsQuery, signal: AbortSignal): AsyncIterable<ResultRow> {
    const { jobs, changes, compile } = this.#components
    const sweep = compile(decodeManifest(job.manifest).manifest.sweep)
    const byInput = query.order === 'input'
    let cursor = query.after ?? (byInput ? -1 : 0)
    while (!signal.aborted) {
      // Both asked for before the look, or what comes between would be missed.
      const change = changes.next(job.id, signal)
      const ended = jobs.get(job.id)?.state !== 'running'
      const page = jobs.results(job.n, byInput ? 'unit' : 'seq', cursor, PAGE_ROWS)
      const rows = byInput && query.follow && !ended ? contiguous(page, cursor) : page
      for (const row of rows) {
        cursor = byInput ? row.unit : row.seq
        if (!query.failed || !row.ok) yield toRow(row, sweep)
      }
      if (rows.length === PAGE_ROWS) continue
      if (!query.follow || ended) return
      await change
    }
  }
}

/** The rows that follow on one another from the cursor. */
function contiguous(rows: readonly StoredResult[], cursor: number): StoredResult[] {
  const gap = rows.findIndex((row, i) => row.unit !== cursor + 1 + i)
  return gap === -1 ? [...rows] : rows.slice(0, gap)
}

function toRow(stored: StoredResult, sweep: CompiledSweep): ResultRow {
  const { unit, seq, attempts } = stored
  const base = { unit, seq, attempts, params: sweep.point(unit), peers: stored.voices.map((voice) => voice.peer) }
  if (stored.ok) return { ...base, status: 'accepted', value: JSON.parse(stored.value ?? 'null') }
  return {
    ...base,
    status: 'failed',
    error: { code: stored.code ?? 'E_INTERNAL', message: stored.value ?? '' },
    blame: blameSchema.parse(stored.blame),
  }
}
