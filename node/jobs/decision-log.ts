/** Group commit: decisions, receipts and evidence gathered for some milliseconds and written in one transaction. */

import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { SignedReceipt } from '../../protocol/receipt.ts'
import type { KeptReport } from '../../protocol/report.ts'
import type { EvidenceKind, EvidenceStore } from '../store/evidence.ts'
import type { JobState, JobStore, JobTotals } from '../store/job-store.ts'
import type { Ledger } from '../store/ledger.ts'
import type { StoredResult, StoredVoice } from '../store/result-store.ts'
import type { UnitTime } from '../store/unit-times.ts'

type Entry =
  | { kind: 'result'; job: number; result: StoredResult }
  | { kind: 'receipt'; job: number; peer: string; signed: SignedReceipt }
  | { kind: 'report'; job: number; peer: string; report: KeptReport }
  | { kind: 'executions'; job: number; executions: number; wasted: number }
  | { kind: 'evidence'; job: number; peer: string; about: EvidenceKind; count: number }
  | { kind: 'confirmed'; job: number; unit: number; voices: StoredVoice[]; attempts: number; error: number | null }
  | { kind: 'withdrawn'; job: number; unit: number }
  | { kind: 'caught'; job: number; unit: number; peer: string; checks: number; caught: number }
  | { kind: 'cleared'; job: number; unit: number }
  | { kind: 'credit'; job: null; peer: string; checks: number; caught: number }
  | { kind: 'end'; job: number; state: Exclude<JobState, 'running'>; atMs: number; took?: { task: string } & UnitTime }

type Components = {
  ledger: Ledger
  jobs: JobStore
  evidence: EvidenceStore
  /** Milliseconds, monotonic. */
  now(): number
  /** This machine's wall clock, for ages only. */
  wallClock(): number
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

  /** All that was decided is on disk. */
  get isWritten(): boolean {
    return this.#entries.length === 0
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
    this.#components.onCommitted(new Set(entries.flatMap((entry) => entry.job ?? [])))
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
    const { jobs } = this.#components
    const sums = new Sums()
    // Of a peer only the last counts: one row a commit, however much was heard of it.
    const credits = new Map<string, Extract<Entry, { kind: 'credit' }>>()
    for (const entry of entries) {
      if (entry.kind === 'credit') credits.set(entry.peer, entry)
      else if (entry.kind === 'receipt') {
        jobs.keepReceipt(entry.job, entry.peer, entry.signed.receipt, entry.signed.signature)
      } else this.#writeOf(entry, sums)
    }
    const { evidence, wallClock } = this.#components
    for (const [peer, credit] of credits) evidence.keepCredit(peer, credit, wallClock())
    for (const [job, totals] of sums.totals) jobs.addTotals(job, totals)
    for (const { job, peer, count } of sums.credits) jobs.credit(job, peer, count)
  }

  #writeOf(entry: Exclude<Entry, { kind: 'credit' | 'receipt' }>, sums: Sums): void {
    const { jobs, evidence, wallClock } = this.#components
    switch (entry.kind) {
      case 'result':
        if (jobs.results.keep(entry.job, entry.result)) sums.add(entry.job, entry.result)
        break
      case 'report':
        jobs.reports.keep(entry.job, entry.peer, entry.report)
        break
      case 'confirmed':
        jobs.results.confirm(entry.job, entry)
        break
      case 'withdrawn': {
        const withdrawn = jobs.results.withdraw(entry.job, entry.unit)
        if (withdrawn !== null) sums.take(entry.job, withdrawn)
        break
      }
      case 'executions':
        sums.of(entry.job).executions += entry.executions
        sums.of(entry.job).wasted += entry.wasted
        break
      case 'evidence':
        evidence.add(entry.peer, entry.about, entry.count)
        if (entry.about === 'agreed') sums.credits.add(entry.job, entry.peer, entry.count)
        break
      case 'caught':
        evidence.keepCatch(entry, wallClock())
        break
      case 'cleared':
        evidence.forgetCatches(entry.job, entry.unit)
        break
      case 'end':
        evidence.forgetCatches(entry.job, null)
        jobs.end(entry.job, entry.state, entry.atMs)
        if (entry.took !== undefined) jobs.unitTimes.keep(entry.took.task, entry.took)
        break
    }
  }
}

/** What one commit adds to the totals of jobs, and to what peers decided in them. */
class Sums {
  readonly totals = new Map<number, JobTotals>()
  readonly credits = new Credits()

  of(job: number): JobTotals {
    const known = this.totals.get(job)
    if (known !== undefined) return known
    const totals = { accepted: 0, failed: 0, executions: 0, wasted: 0, disagreements: 0, errorSum: 0 }
    this.totals.set(job, totals)
    return totals
  }

  add(job: number, { ok, disagreed, error, voices }: StoredResult): void {
    const totals = this.of(job)
    totals[ok ? 'accepted' : 'failed'] += 1
    totals.disagreements += disagreed ? 1 : 0
    totals.errorSum += error ?? 0
    // A value nobody had to confirm is its only speaker's; of several, evidence says who agreed.
    const spoke = voices.filter(({ digest }) => digest !== null)
    const [only] = spoke
    if (ok && spoke.length === 1 && only !== undefined) this.credits.add(job, only.peer, 1)
  }

  take(job: number, { ok, error, voices }: StoredResult): void {
    const totals = this.of(job)
    totals[ok ? 'accepted' : 'failed'] -= 1
    totals.errorSum -= error ?? 0
    for (const { peer, digest } of voices) if (ok && digest !== null) this.credits.add(job, peer, -1)
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
