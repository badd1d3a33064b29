/** A job that was submitted: its results as they come, its progress, its end. */

import { setTimeout as wait } from 'node:timers/promises'
import {
  API,
  type JobInfo,
  type JobSummary,
  jobInfoSchema,
  jobSummarySchema,
  removedSchema,
  resultRowSchema,
} from '../protocol/api.ts'
import { filesOf } from '../protocol/data/unit-files.ts'
import { TalkootError } from '../protocol/errors.ts'
import {
  type JobExplanation,
  jobExplanationSchema,
  type UnitExplanation,
  unitExplanationSchema,
} from '../protocol/explanation.ts'
import type { Finding } from '../protocol/finding.ts'
import { LIMITS } from '../protocol/limits.ts'
import { type UnitLogs, unitLogsSchema } from '../protocol/report.ts'
import { type Reproduction, reproductionSchema } from '../protocol/reproduction.ts'
import { type UnitOutput, unitOutputSchema } from '../protocol/tail.ts'
import { type Client, isLost, readAs } from './client.ts'
import { type Accepted, type Failed, type Result, resultOf } from './result.ts'
import { firstOfEach, resultsNow, retriedBy } from './retried.ts'
import { UnitsSeen } from './units-seen.ts'

export type ResultsOptions = {
  /** `completion`: as units are decided. `input`: in the order of the sweep. */
  order?: 'completion' | 'input'
  /** Of a job that runs failed units of another again: also what the other has of all other units. In the order of the sweep. */
  all?: boolean
  signal?: AbortSignal
}

type JobComponents = { client: Client }
type JobInit = {
  id: string
  /** What leaving the scope of `await using` does to a job that still runs. */
  onDispose: 'cancel' | 'leave'
  signal?: AbortSignal | undefined
}

const FAILURES_NAMED = 10
const BACKOFF_FIRST_MS = 50

/**
 * Iterating gives every result, those decided before as well; each iteration starts anew. Iterations go on where they
 * were when the node is restarted.
 */
export class Job<Params, Value> implements AsyncIterable<Result<Params, Value>>, AsyncDisposable {
  readonly id: string
  readonly #client: Client
  readonly #onDispose: 'cancel' | 'leave'
  readonly #left = new AbortController()
  readonly #signal: AbortSignal

  constructor({ client }: JobComponents, { id, onDispose, signal }: JobInit) {
    this.id = id
    this.#client = client
    this.#onDispose = onDispose
    this.#signal = signal === undefined ? this.#left.signal : AbortSignal.any([signal, this.#left.signal])
    const cancelInPassing = (): void => {
      // Whoever iterates sees the abort itself; a node that is gone cannot be told.
      this.cancel().catch(() => undefined)
    }
    if (signal?.aborted) cancelInPassing()
    else signal?.addEventListener('abort', cancelInPassing, { once: true, signal: this.#left.signal })
  }

  [Symbol.asyncIterator](): AsyncGenerator<Result<Params, Value>> {
    return this.results()
  }

  /**
   * With a confidence to reach, a result in order of completion may take the place of an earlier one of its unit (then it has
   * a `revision`): somebody was found out whose word that hung on. In the order of the sweep each is final, and comes at the end.
   * @throws E_JOB_CANCELLED after the last result of a cancelled job, E_JOB_STOPPED of one whose task does not repeat,
   * E_NOT_RUNNING when the node stays away
   */
  async *results({
    order = 'completion',
    all = false,
    signal,
  }: ResultsOptions = {}): AsyncGenerator<Result<Params, Value>> {
    if (all) {
      yield* this.#all(signal)
      return
    }
    const ended = this.#with(signal)
    let after: number | undefined
    const delivered = new UnitsSeen()
    const stream = this.#persistent(ended, async function* (this: Job<Params, Value>) {
      const query = { follow: 'true', order, ...(after === undefined ? {} : { after: String(after) }) }
      const path = API.jobResults(this.id)
      for await (const line of this.#client.lines(path, { query, signal: ended })) {
        if (line === '') continue
        const row = readAs(resultRowSchema, line, path)
        after = order === 'input' ? row.unit : row.seq
        delivered.add(row.unit)
        yield resultOf<Params, Value>(row)
      }
      const { state, accepted, failed, stopped } = await this.#info(ended)
      if (stopped !== null) throw jobStopped(this.id, stopped)
      if (state === 'cancelled') throw new TalkootError('E_JOB_CANCELLED', `job ${this.id.slice(0, 8)} was cancelled`)
      return state === 'done' && delivered.size >= accepted + failed
    })
    yield* stream
  }

  /**
   * Every value in the order of the sweep.
   * @throws AggregateError with one error a failed unit, its number in `meta.unit`, and E_UNITS_FAILED as its cause
   */
  async collect({ signal }: { signal?: AbortSignal } = {}): Promise<Accepted<Params, Value>[]> {
    const accepted: Accepted<Params, Value>[] = []
    const failed: Failed<Params>[] = []
    for await (const result of this.results({ order: 'input', ...(signal === undefined ? {} : { signal }) })) {
      if (result.status === 'accepted') accepted.push(result)
      else failed.push(result)
    }
    if (failed.length > 0) throw unitsFailed(failed, accepted.length + failed.length)
    return accepted
  }

  /**
   * A folder with `results.jsonl` and, of each unit that left files, those in `units/000017`: as `talkoot job results --out` writes it, with
   * what the jobs have whose failed units this one runs again. It may be called again; what is there stays.
   * @throws E_FILE when the folder holds anything else, E_DISK_FULL, and as `results`
   */
  async toFolder(folder: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const ended = this.#with(signal)
    const { toFolder } = await import('./results-folder.ts')
    const jobs = [this.id, ...(await retriedBy(this.#client, this.id, ended))]
    await toFolder(this.#client, folder, { jobs, signal: ended })(this.results({ all: true, signal: ended }))
  }

  /**
   * The files a unit left (`outputs`), in a folder that is made for them; one that is there must hold just these.
   * @throws E_NOT_FOUND when it left none, E_FILE, E_DISK_FULL
   */
  async writeFiles(
    result: Result<Params, Value>,
    folder: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const files = result.status === 'accepted' ? filesOf(result.value) : null
    if (files === null) throw new TalkootError('E_NOT_FOUND', `unit ${result.unit} left no files`)
    const { writeUnitFiles } = await import('./unit-files.ts')
    await writeUnitFiles(this.#client, files, folder, this.#with(signal))
  }

  /**
   * What proves the results there are, for `verifyResults` and `talkoot verify`: lines to be written to a file as they
   * come, `await writeFile('job.receipts', job.receipts())`.
   * @throws E_NOT_RUNNING when the node ends before the last of them
   */
  async *receipts({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<string> {
    let last = ''
    for await (const line of this.#client.lines(API.jobReceipts(this.id), { signal: this.#with(signal) })) {
      if (line === '') continue
      last = line
      yield `${line}\n`
    }
    if (!last.startsWith('{"seal":')) throw new TalkootError('E_NOT_RUNNING', 'the node ended before the receipts did')
  }

  /**
   * Runs a unit once more, on the machine of the node, with the inputs and limits it had: what it wrote, how it ended,
   * and whether that is what was decided. Takes as long as the unit.
   * @throws E_NOT_FOUND, and E_NOT_RUNNING when the node ends before it
   */
  async reproduce(unit: number, { signal }: { signal?: AbortSignal } = {}): Promise<Reproduction> {
    const path = API.unitReproduction(this.id, unit)
    for await (const line of this.#client.lines(path, { method: 'POST', signal: this.#with(signal) })) {
      if (line !== '') return readAs(reproductionSchema, line, path)
    }
    throw new TalkootError('E_NOT_RUNNING', 'the node ended before the unit did')
  }

  progress(): Promise<JobInfo> {
    return this.#info(this.#signal)
  }

  /** Why it is where it is: which units wait, why, since when, and what each peer does. */
  explain(): Promise<JobExplanation>
  /** Why one unit is where it is, and who had it. @throws E_NOT_FOUND */
  explain(unit: number): Promise<UnitExplanation>
  explain(unit?: number): Promise<JobExplanation | UnitExplanation> {
    const signal = this.#signal
    return unit === undefined
      ? this.#client.request(API.jobExplanation(this.id), jobExplanationSchema, { signal })
      : this.#client.request(API.unitExplanation(this.id, unit), unitExplanationSchema, { signal })
  }

  /** What attempts at a unit wrote, how they ended and what they took, oldest first. @throws E_NOT_FOUND */
  logs(unit: number): Promise<UnitLogs> {
    return this.#client.request(API.unitLogs(this.id, unit), unitLogsSchema, { signal: this.#signal })
  }

  /**
   * What a unit writes while it runs, from its last 64 KiB on, until it is decided; from copies of it one after the other. Of a unit
   * that is decided nothing: see `logs`. @throws E_NOT_FOUND
   */
  async *follow(unit: number, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<UnitOutput> {
    const path = API.unitOutput(this.id, unit)
    for await (const line of this.#client.lines(path, { signal: this.#with(signal) })) {
      if (line !== '') yield readAs(unitOutputSchema, line, path)
    }
  }

  /** The state now and after each change, at most a few times a second; the last is settled. */
  async *watch({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<JobSummary> {
    const ended = this.#with(signal)
    yield* this.#persistent(ended, async function* (this: Job<Params, Value>) {
      let settled = false
      const path = API.jobEvents(this.id)
      for await (const line of this.#client.lines(path, { signal: ended })) {
        if (!line.startsWith('data:')) continue
        const summary = readAs(jobSummarySchema, line.slice('data:'.length), path)
        settled = summary.state !== 'running' || summary.stopped !== null
        yield summary
      }
      return settled
    })
  }

  /** Units not decided yet are given up. Does nothing to a job that is settled. */
  async cancel(): Promise<void> {
    await this.#client.request(API.job(this.id), jobInfoSchema, { method: 'DELETE' })
  }

  /**
   * Forgets a job that has ended, with its results, receipts, logs and files.
   * @throws E_JOB_RUNNING, and E_JOB_NEEDED when another runs again what failed in it, or runs and follows it
   */
  async remove(): Promise<void> {
    await this.#client.request(API.removals, removedSchema, { method: 'POST', body: { jobs: [this.id] } })
  }

  /** Gives nothing more of it out, and takes back what runs, until `release`; results are kept. Survives restarts. */
  async hold(): Promise<void> {
    await this.#client.request(API.jobHold(this.id), jobInfoSchema, { method: 'POST' })
  }

  /** Lets it go on: a job that is held, or that follows one which failed. */
  async release(): Promise<void> {
    await this.#client.request(API.jobRelease(this.id), jobInfoSchema, { method: 'POST' })
  }

  /** Ends every iteration; cancels a job that still runs if this handle submitted it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return
    this.#left.abort(new TalkootError('E_JOB_CANCELLED', `job ${this.id.slice(0, 8)} was left`))
    if (this.#onDispose === 'leave') return
    const { state } = await this.#info(undefined).catch(unlessRemoved)
    if (state === 'running') await this.cancel()
  }

  async *#all(signal: AbortSignal | undefined): AsyncGenerator<Result<Params, Value>> {
    const ended = this.#with(signal)
    const older = await retriedBy(this.#client, this.id, ended)
    const earlier = older.map((id) => resultsNow<Params, Value>(this.#client, id, { order: 'input', signal: ended }))
    yield* firstOfEach([this.results({ order: 'input', signal: ended }), ...earlier])
  }

  #info(signal: AbortSignal | undefined): Promise<JobInfo> {
    return this.#client.request(API.job(this.id), jobInfoSchema, { signal })
  }

  #with(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#signal : AbortSignal.any([signal, this.#signal])
  }

  /** Reads a stream again, where it was cut, until it says it is complete or the node stays away too long. */
  async *#persistent<T>(
    signal: AbortSignal,
    read: (this: Job<Params, Value>) => AsyncGenerator<T, boolean>,
  ): AsyncGenerator<T> {
    let awaySince: number | undefined
    let backoffMs = BACKOFF_FIRST_MS
    for (;;) {
      const stream = read.call(this)
      try {
        for (let next = await stream.next(); ; next = await stream.next()) {
          if (next.done === true) {
            if (next.value) return
            break
          }
          awaySince = undefined
          backoffMs = BACKOFF_FIRST_MS
          yield next.value
        }
      } catch (error) {
        awaySince ??= performance.now()
        if (!isLost(error) || performance.now() - awaySince > LIMITS.API_RECONNECT_MAX_MS) throw error
      } finally {
        // Whoever stops iterating closes the connection with it.
        await stream.return(false)
      }
      signal.throwIfAborted()
      await wait(backoffMs * (0.5 + Math.random()), undefined, { signal })
      backoffMs = Math.min(backoffMs * 2, LIMITS.API_RECONNECT_BACKOFF_MAX_MS)
    }
  }
}

function unlessRemoved(error: unknown): { state: 'removed' } {
  if (error instanceof TalkootError && error.code === 'E_NOT_FOUND') return { state: 'removed' }
  throw error
}

function jobStopped(id: string, { reason, unit, difference, platforms }: Finding): TalkootError {
  const where = difference === null ? '' : `, ${difference.path} is ${difference.a} or ${difference.b}`
  const who = platforms === null ? 'on different peers' : `on ${platforms.join(' and ')}`
  const message = `job ${id.slice(0, 8)} was stopped, unit ${unit} gives different results ${who}${where}`
  return new TalkootError('E_JOB_STOPPED', message, { meta: { reason, unit, path: difference?.path ?? null } })
}

function unitsFailed(failed: readonly Failed<unknown>[], size: number): AggregateError {
  const errors = failed.map(
    ({ unit, error }) => new TalkootError(error.code, error.message, { meta: { ...error.meta, unit }, cause: error }),
  )
  const named = failed.slice(0, FAILURES_NAMED).map(({ unit, error }) => `${unit} (${error.code})`)
  const rest = failed.length > named.length ? ` and ${failed.length - named.length} more` : ''
  const message = `${failed.length} of ${size} units failed: ${named.join(', ')}${rest}`
  return new AggregateError(errors, message, { cause: new TalkootError('E_UNITS_FAILED', message) })
}
