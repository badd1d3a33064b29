/** The submitter's side of one session with a worker: gives it units, takes its results, checks its receipts. */

import { type ErrorCode, isErrorCode, TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame, framesOf } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId } from '../../protocol/manifest.ts'
import { checkReceipt, type SignedReceipt } from '../../protocol/receipt.ts'
import type { KeptReport, UnitProcess, UnitReport } from '../../protocol/report.ts'
import { withoutControls } from '../../protocol/text.ts'
import { isPlainValue } from '../../protocol/value.ts'
import { type Attempt, type ToSubmitter, type ToWorker, toSubmitterSchema } from '../../protocol/work.ts'
import type { Channel } from '../mesh/mesh.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { LiveJob } from './live-job.ts'
import type { AttemptEnd, SchedulerEvent, TrustClass } from './scheduler/events.ts'

type Components = {
  channel: Channel
  /** Undefined: it does not run. */
  jobOf(job: JobId): Pick<LiveJob, 'signed' | 'sweep'> | undefined
  /** An end with files, when they are here, or the failure it is without; null: it has none. Never rejects. */
  fetchFiles(job: JobId, peer: string, end: AttemptEnd): Promise<AttemptEnd> | null
  checkpoints: Pick<Checkpoints, 'keep' | 'of' | 'ended'>
  /** `beside` comes with results. */
  onEvent(event: SchedulerEvent, beside?: Beside): void
  onError(error: unknown): void
}

/** What comes with results and decides nothing: the worker's signature, and what it tells of some of the attempts. */
export type Beside = { receipt: SignedReceipt; reports: readonly KeptReport[] }

/**
 * Ends a worker may tell of beyond the units it was given here: what it ran for an earlier session. Its outbox holds so
 * many, and it may have run on a little.
 */
const EARLIER_ENDS_MAX = 2 * LIMITS.WORKER_QUEUE_UNITS_MAX

export class WorkerSession {
  readonly peer: string
  /** How far the peer was believed when the session began. */
  readonly trust: TrustClass
  readonly #components: Components
  readonly #introduced = new Set<JobId>()
  /** Units given in this turn, not told yet. */
  #given: { job: JobId; units: [unit: number, params: string][] } | null = null
  #sending: Promise<void> = Promise.resolve()
  #unsentBytes = 0
  /** Ends that may still come. */
  #endsLeft = EARLIER_ENDS_MAX

  constructor(components: Components, init: { peer: string; trust: TrustClass }) {
    this.#components = components
    this.peer = init.peer
    this.trust = init.trust
  }

  /** Takes what the worker says until the session ends; the reason it ended with. */
  async serve(): Promise<TalkootError> {
    const { channel } = this.#components
    try {
      for await (const frame of channel) await this.#take(decodeFrame(toSubmitterSchema, frame))
      return new TalkootError('E_UNREACHABLE', 'the worker closed the session')
    } catch (thrown) {
      const error = TalkootError.from(thrown, 'E_FRAME')
      channel.abort(error.code, error.message)
      return error
    }
  }

  /** Gives units to the worker, in as many frames as their parameters need. */
  run(job: JobId, units: readonly [unit: number, params: string][]): void {
    if (!this.#introduced.has(job)) {
      const running = this.#components.jobOf(job)
      if (running === undefined) return
      this.#introduced.add(job)
      this.#tell({ t: 'job', job, ...running.signed })
    }
    for (const [unit] of units) this.#resume(job, unit)
    this.#endsLeft += units.length
    if (this.#given?.job !== job) {
      this.#tellGiven()
      this.#given = { job, units: [] }
      queueMicrotask(() => this.#tellGiven())
    }
    this.#given.units.push(...units)
  }

  /** Told before the unit; left out when much is on its way already. */
  #resume(job: JobId, unit: number): void {
    const state = this.#components.checkpoints.of(job, unit, this.peer)
    if (state === undefined || this.#unsentBytes > LIMITS.SESSION_UNSENT_MAX_BYTES / 2) return
    this.#tell({ t: 'resume', job, unit, state })
  }

  revoke(job: JobId, units: number[] | null): void {
    this.#tellGiven()
    if (units === null) this.#introduced.delete(job)
    this.#tell({ t: 'revoke', job, units })
  }

  /** The job has ended: the worker need not keep it. */
  forget(job: JobId): void {
    if (this.#introduced.has(job)) this.revoke(job, null)
  }

  /** There is no more to say: what was said still goes out, so that what was called off does not run on. */
  leave(): void {
    this.#tellGiven()
    const { channel, onError } = this.#components
    const late = setTimeout(
      () => this.end(new TalkootError('E_UNREACHABLE', 'the worker does not take the end of the session')),
      LIMITS.REQUEST_TIMEOUT_MS,
    )
    this.#sending
      .then(() => channel.close())
      .catch(onError)
      .finally(() => clearTimeout(late))
  }

  end(error: TalkootError): void {
    this.#components.channel.abort(error.code, error.message)
  }

  async #take(message: ToSubmitter): Promise<void> {
    const { checkpoints, onEvent } = this.#components
    switch (message.t) {
      case 'accept':
        onEvent({ type: 'job.ready', peer: this.peer, job: message.job })
        break
      case 'beat':
        onEvent({ type: 'peer.alive', peer: this.peer, waits: message.queued > 0 && message.running === 0 })
        break
      case 'fetching':
        onEvent({ ...message, type: 'job.fetching', peer: this.peer })
        break
      case 'refuse':
        this.#introduced.delete(message.job)
        onEvent({ ...message, type: 'job.refused', peer: this.peer })
        break
      case 'checkpoint':
        checkpoints.keep(message.job, message.unit, this.peer, message.state)
        break
      case 'results':
        await this.#takeResults(message)
        break
      case 'handback':
        // It knows nothing of the job, or no more: it is told again with the next units.
        if (message.code === ('E_NOT_FOUND' satisfies ErrorCode)) this.#introduced.delete(message.job)
        onEvent({ ...message, type: 'handback', peer: this.peer })
        break
    }
  }

  async #takeResults(message: Extract<ToSubmitter, { t: 'results' }>): Promise<void> {
    const { job, attempts, held, reports = [], signature } = message
    this.#endsLeft -= attempts.length
    if (this.#endsLeft < 0) throw new TalkootError('E_FLOOD', 'the worker tells of more ends than it was given units')
    const sweep = this.#components.jobOf(job)?.sweep
    // Signed, it would be kept among the others, and nobody could prove anything with them.
    if (sweep !== undefined && attempts.some(({ unit }) => sweep.next(unit - 1) !== unit || unit >= sweep.size))
      throw new TalkootError('E_FRAME', 'a unit the job does not have')
    const { receipt, ends } = await checkReceipt(this.peer, job, attempts, signature)
    this.#components.checkpoints.ended(job, attempts, this.peer)
    const told = attempts.map((attempt, i) => toEnd(attempt, ends[i] ?? ''))
    const reportOf = new Map(reports.map((report) => [report.unit, report]))
    const besideOf = (ends: readonly AttemptEnd[]): Beside => ({
      receipt: { receipt, signature },
      reports: toKept(reportOf, ends),
    })
    const now = told.filter((end) => !this.#countsLater(job, end, besideOf))
    if (now.length === 0) return
    const event = { type: 'results', peer: this.peer, job, attempts: now, held: held ?? null } as const
    this.#components.onEvent(event, besideOf(now))
  }

  /** When its files are here. What else the worker says is heard meanwhile, its signs of life above all. */
  #countsLater(job: JobId, end: AttemptEnd, besideOf: (ends: readonly AttemptEnd[]) => Beside): boolean {
    const { fetchFiles, onEvent, onError } = this.#components
    const { peer } = this
    const fetching = fetchFiles(job, peer, end)
    fetching
      ?.then((fetched) => {
        this.#tell({ t: 'taken', job, units: [end.unit] })
        onEvent({ type: 'results', peer, job, attempts: [fetched], held: null }, besideOf([fetched]))
      })
      .catch(onError)
    return fetching !== null
  }

  /** What one step gave in several grants goes as one message: each message costs both ends a turn. */
  #tellGiven(): void {
    const given = this.#given
    this.#given = null
    if (given === null) return
    const bytesOf = ([, params]: [number, string]) => Buffer.byteLength(params)
    for (const frame of framesOf(given.units, bytesOf, LIMITS.FRAME_UNITS_MAX))
      this.#tell({ t: 'run', job: given.job, units: frame })
  }

  #tell(message: ToWorker): void {
    const frame = encodeFrame(message)
    this.#unsentBytes += frame.length
    if (this.#unsentBytes > LIMITS.SESSION_UNSENT_MAX_BYTES) {
      this.end(new TalkootError('E_BUSY', 'the worker does not take what it is given'))
      return
    }
    this.#sending = this.#sending
      .then(() => this.#components.channel.send(frame))
      .catch(this.#components.onError)
      .finally(() => {
        this.#unsentBytes -= frame.length
      })
  }
}

/** @throws E_FRAME on a value that is not plain data: a worker's own sandbox would never have let it pass */
function toEnd(attempt: Attempt, digest: string): AttemptEnd {
  const { unit } = attempt
  if (attempt.ok) {
    if (!isPlainValue(attempt.value)) throw new TalkootError('E_FRAME', `the result of unit ${unit} is not plain data`)
    return { unit, ok: true, value: attempt.value, digest }
  }
  const known = isErrorCode(attempt.code)
  return {
    unit,
    ok: false,
    code: known ? attempt.code : 'E_UNIT_CRASHED',
    message: withoutControls(attempt.message),
    blame: known ? attempt.blame : 'machine',
  }
}

/** One at most of each of these ends: frames tell of others too, whose files are still to come. */
function toKept(reportOf: ReadonlyMap<number, UnitReport>, ends: readonly AttemptEnd[]): KeptReport[] {
  if (reportOf.size === 0) return []
  return ends.flatMap((end) => {
    const report = reportOf.get(end.unit)
    if (report === undefined) return []
    const { exit, ...told } = report
    return {
      ...told,
      exit: exit && { code: exit.code, signal: exit.signal && withoutControls(exit.signal) },
      stdout: withoutControls(told.stdout),
      stderr: withoutControls(told.stderr),
      runtime: withoutControls(told.runtime),
      system: withoutControls(told.system),
      ...(told.process === undefined ? {} : { process: plainProcess(told.process) }),
      code: end.ok ? null : end.code,
    }
  })
}

function plainProcess(process: UnitProcess): UnitProcess {
  const { began, ended, host, user, program } = process
  const [from, to, on, as] = [began, ended, host, user].map(withoutControls)
  return {
    ...process,
    ...{ began: from ?? '', ended: to ?? '', host: on ?? '', user: as ?? '' },
    program: program && withoutControls(program),
  }
}
