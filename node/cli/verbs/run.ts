/** `talkoot run` and `talkoot submit`: a task on every point of a sweep. */

import type { Command as Verb } from 'commander'
import { API, type JobSummary, jobInfoSchema } from '../../../protocol/api.ts'
import type { Json } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Job } from '../../../sdk/job.ts'
import type { Result } from '../../../sdk/result.ts'
import type { Act, Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { type PolicyFlags, parsePolicy } from '../policy-flags.ts'
import { count, plural } from '../render/figures.ts'
import { showingInputs } from '../render/inputs-progress.ts'
import { ProgressLine } from '../render/progress.ts'
import { parseSweep, type SweepFlags } from '../sweep-flags.ts'
import { parseTask, type TaskFlags } from '../task-argument.ts'
import { sweepCommand } from '../task-options.ts'
import { agreementText, jobView } from './job-view.ts'
import { fileSink, rowsToStdout } from './results-out.ts'

type AnyJob = Job<Record<string, Json>, Json>
type Options = SweepFlags & PolicyFlags & TaskFlags & { results?: string }

/** Results shown at a terminal after the bar; the rest is a command away. */
const PREVIEW_ROWS = 20

export function run(program: Verb, act: Act): void {
  sweepCommand(program, 'run')
    .description('run a task or a program on every point of a sweep, and wait for the results')
    .option('--results <file>', 'write the results to a .csv, .jsonl or .parquet file')
    .action(
      act((context, words: string[], options: Options) =>
        runJob(context, options, () => start(context, words, options)),
      ),
    )
  sweepCommand(program, 'submit')
    .description('the same without waiting: the job is safe on disk when this returns')
    .action(
      act(async (context, words: string[], options: Options) => {
        const { client, output, signal } = context
        const { id } = await start(context, words, options)
        await output.show(await client.request(API.job(id), jobInfoSchema, { signal }), jobView)
        await output.note(`\nfollow it: talkoot job watch ${id.slice(0, 8)}`)
        return undefined
      }),
    )
}

/** Everything that can be wrong with the command line is found before the task is bundled. */
async function start(context: Context, words: string[], options: Options): Promise<AnyJob> {
  const task = await parseTask(context, words, options)
  const sweep = parseSweep(options, context.io.cwd, { once: typeof task !== 'string' })
  const policy = parsePolicy(options)
  const { mesh, signal } = context
  return await showingInputs(context, (onInputs) => mesh.map(task, sweep, { ...policy, onInputs, signal }))
}

type Told = Pick<Options, 'results' | 'confidence'>

/** Waits for a job that is submitted here, shows what becomes of it, and cancels it when it is interrupted. */
export async function runJob(context: Context, options: Told, submit: () => Promise<AnyJob>): Promise<number> {
  const { io, output, signal } = context
  const sink = await fileSink('--results', options.results, io.cwd)
  const job = await submit()
  try {
    await announce(context, job)
    // At a terminal rows would run into the bar: there it is the bar first, then a look at the results.
    const preview = sink === null && output.format === 'table' && io.stdout.isTerminal
    const bar = output.format === 'quiet' || (io.stdout.isTerminal && sink === null && !preview)
    const shown = bar ? Promise.resolve() : showProgress(context, job)
    // A file is to hold one row a unit, the final one; it appears when it is whole in any case.
    const order = sink !== null && options.confidence !== undefined ? 'input' : 'completion'
    if (preview) await shown
    else
      await Promise.all([
        shown,
        (sink ?? ((rows) => rowsToStdout(rows as AsyncIterable<Result>, context)))(job.results({ order, signal })),
      ])
    if (preview) await showFirst(context, job)
  } catch (error) {
    if (signal.aborted) await abandon(context, job)
    throw error
  }
  return conclude(context, job, options.results)
}

async function announce({ mesh, output, signal }: Context, job: AnyJob): Promise<void> {
  signal.throwIfAborted()
  const [{ units, policy }, { peers }] = await Promise.all([job.progress(), mesh.peers()])
  const working = peers.filter(({ ad, connected }) => connected && (ad?.cpus ?? 0) > 0)
  const cores = working.reduce((sum, { ad }) => sum + (ad?.cpus ?? 0), 0)
  await output.note(
    `job ${job.id.slice(0, 8)} · ${plural(units, 'unit')} · ${plural(working.length, 'peer')} · ${plural(cores, 'core')} · ${agreementText(policy.verify)}`,
  )
}

export async function showProgress({ io, output, signal }: Context, job: AnyJob): Promise<JobSummary | null> {
  const line = new ProgressLine(io.stderr, { colours: output.colours })
  let last: JobSummary | null = null
  try {
    for await (const summary of job.watch({ signal })) {
      last = summary
      await line.update(summary)
    }
  } finally {
    await line.end()
  }
  return last
}

async function showFirst(context: Context, job: AnyJob): Promise<void> {
  const { output, signal } = context
  const { units } = await job.progress()
  await rowsToStdout(first(job.results({ order: 'input', signal }), PREVIEW_ROWS), context)
  if (units > PREVIEW_ROWS) {
    await output.note(`… ${count(units - PREVIEW_ROWS)} more: talkoot job results ${job.id.slice(0, 8)}`)
  }
}

async function* first<T>(source: AsyncIterable<T>, rows: number): AsyncGenerator<T> {
  let left = rows
  for await (const item of source) {
    yield item
    left -= 1
    if (left === 0) return
  }
}

async function abandon({ output }: Context, job: AnyJob): Promise<void> {
  await job.cancel().catch(() => undefined)
  const id = job.id.slice(0, 8)
  await output.note(`\njob ${id} was cancelled; what it has: talkoot job results ${id}`)
}

async function conclude({ output }: Context, job: AnyJob, out: string | undefined): Promise<number> {
  const { units, accepted, failed, executions, disagreements } = await job.progress()
  const end = `${count(accepted)} of ${plural(units, 'unit')} accepted · ${plural(executions, 'execution')} · ${plural(disagreements, 'disagreement')}`
  await output.note(out === undefined ? end : `${end} · ${out}`)
  if (failed > 0)
    throw new TalkootError(
      'E_UNITS_FAILED',
      `${count(failed)} of ${plural(units, 'unit')} of job ${job.id.slice(0, 8)} failed`,
    )
  return EXIT.ok
}
