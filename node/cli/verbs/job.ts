/** `talkoot job show|watch|results|logs|receipts|reproduce|retry-failed|hold|release|cancel|remove`: one job, by its id or the beginning of it. */

import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { API, type JobSummary, jobInfoSchema } from '../../../protocol/api.ts'
import type { Json } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Result } from '../../../sdk/result.ts'
import { toFolder } from '../../../sdk/results-folder.ts'
import { firstOfEach, resultsNow, retriedBy } from '../../../sdk/retried.ts'
import type { Act, Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { count, plural } from '../render/figures.ts'
import { jobView } from './job-view.ts'
import { logs } from './logs.ts'
import { receipts } from './receipts.ts'
import { remove } from './remove.ts'
import { reproduce } from './reproduce.ts'
import { csvToStdout, fileSink, isFolder, rowsToStdout } from './results-out.ts'
import { retryFailed } from './retry-failed.ts'
import { showProgress } from './run.ts'

type ResultsOptions = {
  follow?: boolean
  failed?: boolean
  all?: boolean
  order: 'completion' | 'input'
  format?: 'csv'
  out?: string
}

export function job(program: Command, act: Act): void {
  const group = program.command('job').description('one job: show, results, logs, hold, cancel and more')
  group
    .command('show <job>')
    .description('how far it is, what it waits for, who worked on it')
    .action(
      act(async ({ client, output, signal }, id: string) => {
        await output.show(await client.request(API.job(id), jobInfoSchema, { signal }), jobView)
        return undefined
      }),
    )
  group.command('watch <job>').description('its progress until it ends').action(act(watch))
  group
    .command('results <job>')
    .description('the results there are')
    .option('-f, --follow', 'wait for those still to come')
    .option('--failed', 'only failed units')
    .option('--all', 'of a retry of failed units, by unit: also what the job before it has of all others')
    .addOption(new Option('--order <order>').choices(['completion', 'input']).default('completion'))
    .addOption(new Option('--format <format>', 'csv; other formats by --output').choices(['csv']))
    .option(
      '--out <file|folder>',
      'write them to a .csv, .jsonl or .parquet file, or to a folder, with the files units left',
    )
    .action(act(results))
  group
    .command('logs <job> <unit>')
    .description('what attempts at a unit wrote, how they ended, what they took')
    .option('-f, --follow', 'what it writes while it runs, until it is decided')
    .action(act(logs))
  group
    .command('receipts <job>')
    .description('what proves its results: the receipts that workers signed, for `talkoot verify`')
    .option('--out <file>', 'write them to a file')
    .action(act(receipts))
  group
    .command('reproduce <job> <unit>')
    .description('run a unit again on this machine, with the inputs and limits it had; ends as it ends')
    .action(act(reproduce))
  retryFailed(group, act)
  group
    .command('hold <job>')
    .description('give nothing more of it out, and take back what runs, until it is released')
    .action(act((context, id: string) => post(context, API.jobHold(id))))
  group
    .command('release <job>')
    .description('let it go on: a job that is held, or that follows one which failed')
    .action(act((context, id: string) => post(context, API.jobRelease(id))))
  group
    .command('cancel <job>')
    .description('give up what is not decided; results are kept')
    .action(
      act(async ({ client, output, signal }, id: string) => {
        await output.show(await client.request(API.job(id), jobInfoSchema, { method: 'DELETE', signal }), jobView)
        return undefined
      }),
    )
  remove(group, act)
}

async function post({ client, output, signal }: Context, path: string): Promise<undefined> {
  await output.show(await client.request(path, jobInfoSchema, { method: 'POST', signal }), jobView)
}

/** Goes on when the node is restarted. */
async function watch(context: Context, id: string): Promise<number> {
  const { mesh, output, signal } = context
  const job = await mesh.attach(id)
  let last: JobSummary | null = null
  if (output.format === 'jsonl') {
    for await (const summary of job.watch({ signal })) {
      last = summary
      await output.show(summary, jobView)
    }
  } else {
    last = await showProgress(context, job)
    if (last !== null && output.machine) await output.show(last, jobView)
  }
  if (last?.state === 'cancelled') throw new TalkootError('E_JOB_CANCELLED', `job ${job.id.slice(0, 8)} was cancelled`)
  if (last !== null && last.failed > 0) {
    const failed = `${count(last.failed)} of ${plural(last.units, 'unit')} of job ${job.id.slice(0, 8)} failed`
    throw new TalkootError('E_UNITS_FAILED', failed)
  }
  return EXIT.ok
}

async function results(context: Context, id: string, options: ResultsOptions): Promise<undefined> {
  const toFiles = options.out !== undefined && isFolder(options.out)
  const sink = toFiles ? null : await fileSink('--out', options.out, context.io.cwd)
  if (toFiles && (options.failed || options.format !== undefined)) {
    throw new TalkootError('E_USAGE', '--failed and --format are not for a folder')
  }
  const rows = await rowsOf(context, id, toFiles ? { ...options, order: 'input', all: true } : options)
  if (toFiles) return layOut(context, id, { folder: options.out ?? '', rows })
  if (sink !== null) await sink(rows)
  else if (options.format === 'csv') await csvToStdout(rows, context)
  else await rowsToStdout(rows, context)
}

/** Results of a retry go to the folder of the job before it as well. */
async function layOut(
  { mesh, client, io, output, signal }: Context,
  id: string,
  { folder, rows }: { folder: string; rows: AsyncIterable<Result> },
): Promise<undefined> {
  const job = await mesh.attach(id)
  const jobs = [job.id, ...(await retriedBy(client, job.id, signal))]
  await toFolder(client, resolve(io.cwd, folder), { jobs, signal })(rows)
  await output.note(`${folder}: results.jsonl, and the files of each unit in units/`)
}

async function rowsOf(
  { mesh, client, signal }: Context,
  id: string,
  options: ResultsOptions,
): Promise<AsyncIterable<Result>> {
  const { follow, order, failed = false, all = false } = options
  const job = await mesh.attach(id)
  const kept = failed ? onlyFailed : (rows: AsyncIterable<Result>) => rows
  if (follow) return kept(job.results({ order, all, signal }))
  if (!all) return resultsNow(client, job.id, { order, failed, signal })
  const jobs = [job.id, ...(await retriedBy(client, job.id, signal))]
  return kept(
    firstOfEach(jobs.map((one) => resultsNow<Result['params'], Json>(client, one, { order: 'input', signal }))),
  )
}

async function* onlyFailed(rows: AsyncIterable<Result>): AsyncGenerator<Result> {
  for await (const row of rows) if (row.status === 'failed') yield row
}
