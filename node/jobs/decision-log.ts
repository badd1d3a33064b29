/** Group commit: decisions, receipts and evidence gathered for some milliseconds and written in one transaction. */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { SignedReceipt } from '../../protocol/receipt.ts'
import type { EvidenceKind, EvidenceStore } from '../store/evidence.ts'
import type { JobState, JobStore, JobTotals, StoredResult } from '../store/job-store.ts'
import type { Ledger } from '../store/ledger.ts'
import type { UnitTime } from '../store/unit-times.ts'

type Entry =
  | { kind: 'result'; job: number; result: StoredResult }
  | { kind: 'receipt'; job: number; peer: string; signed: SignedReceipt }
  | { kind: 'executions'; job: number; executions: number; wasted: number }
  | { kind: 'evidence'; job: number; peer: string; about: EvidenceKind; count: number }
  | { kind: 'end'; job: number; state: Exclude<JobState, 'running'>; atMs: number; took?: { task: string } & UnitTime }

type Components = {
  ledger: Ledger
  jobs: JobStore
  evidence: EvidenceStore
  /** Milliseconds, monotonic. */
  now(): number
  /** Called after each commit with the jobs it touched: only now may results be reported. */
  onCommitted(jobs: ReadonlySet<number>): void
  /** The ledger cannot be written: nothing is lost, it is tried again, and no new work should be given out. */
  onHalted(error: TalkootError | null): void
}

/** The event loop stands still while a commit waits for the disk: at most one part in so many of its time. */
const COMMIT_SHARE = 5

export class DecisionLog {
  readonly #components: Components
  #entries: Entry[] = []
  #timer: NodeJS.Timeout | null = null
  #halted = false
  /** How long decisions wait for company: longer on a disk that takes its time. */
  #delayMs: number = LIMITS.LEDGER_DELAY_MS

  constructor(components: Components) {
    this.#components = components
  }

  add(entry: Entry): void {
    this.#entries.push(entry)
    if (this.#halted) return
    if (this.#entries.length >= LIMITS.LEDGER_BATCH_ROWS) this.commit()
    else this.#timer ??= setTimeout(() => this.commit(), this.#delayMs)
  }

  /** Writes what was gathered. On failure it stays gathered and is tried again later. */
  commit(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#entries.length === 0) return
    const entries = this.#entries
    const began = this.#components.now()
    try {
      this.#components.ledger.transaction(() => this.#write(entries))
    } catch (thrown) {
      this.#halt(TalkootError.from(thrown))
      return
    }
    this.#entries = []
    const restMs = (COMMIT_SHARE - 1) * (this.#components.now() - began)
    this.#delayMs = Math.min(LIMITS.LEDGER_DELAY_MAX_MS, Math.max(LIMITS.LEDGER_DELAY_MS, restMs))
    if (this.#halted) this.#components.onHalted(null)
    this.#halted = false
    this.#components.onCommitted(new Set(entries.map((entry) => entry.job)))
  }

  stop(): void {
    this.commit()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #halt(error: TalkootError): void {
    if (!this.#halted) this.#components.onHalted(error)
    this.#halted = true
    this.#timer = setTimeout(() => this.commit(), LIMITS.LEDGER_RETRY_MS)
  }

  #write(entries: readonly Entry[]): void {
    const { jobs, evidence } = this.#components
    const totals = new Map<number, JobTotals>()
    const of = (job: number): JobTotals => {
      const known = totals.get(job) ?? { accepted: 0, failed: 0, executions: 0, wasted: 0, disagreements: 0 }
      totals.set(job, known)
      return known
    }
    const credits = new Credits()
    for (const entry of entries) {
      switch (entry.kind) {
        case 'result':
          if (!jobs.keepResult(entry.job, entry.result)) break
          creditLoneVoice(credits, entry)
          of(entry.job)[entry.result.ok ? 'accepted' : 'failed'] += 1
          of(entry.job).disagreements += entry.result.disagreed ? 1 : 0
          break
        case 'receipt':
          jobs.keepReceipt(entry.job, entry.peer, entry.signed.receipt, entry.signed.signature)
          break
        case 'executions':
          of(entry.job).executions += entry.executions
          of(entry.job).wasted += entry.wasted
          break
        case 'evidence':
          evidence.add(entry.peer, entry.about, entry.count)
          if (entry.about === 'agreed') credits.add(entry.job, entry.peer, entry.count)
          break
        case 'end':
          jobs.end(entry.job, entry.state, entry.atMs)
          if (entry.took !== undefined) jobs.unitTimes.keep(entry.took.task, entry.took)
          break
      }
    }
    for (const [job, sums] of totals) jobs.addTotals(job, sums)
    for (const { job, peer, count } of credits) jobs.credit(job, peer, count)
  }
}

/** Units that peers decided, summed up so that a commit writes one row a peer and job, however many units it holds. */
class Credits implements Iterable<{ job: number; peer: string; count: number }> {
  readonly #counts = new Map<number, Map<string, number>>()

  add(job: number, peer: string, count: number): void {
    const peers = this.#counts.get(job) ?? new Map<string, number>()
    this.#counts.set(job, peers)
    peers.set(peer, (peers.get(peer) ?? 0) + count)
  }

  *[Symbol.iterator](): Iterator<{ job: number; peer: string; count: number }> {
    for (const [job, peers] of this.#counts) for (const [peer, count] of peers) yield { job, peer, count }
  }
}

/** A value nobody had to confirm is its only speaker's; of several, evidence says who agreed. */
function creditLoneVoice(credits: Credits, { job, result }: Extract<Entry, { kind: 'result' }>): void {
  if (!result.ok) return
  let speaker: string | null = null
  for (const { peer, digest } of result.voices) {
    if (digest === null) continue
    if (speaker !== null) return
    speaker = peer
  }
  if (speaker !== null) credits.add(job, speaker, 1)
}
