/** `talkoot job retry-failed`: the units of a job that have failed once more, with what was mended, as a new job. */

import type { Command } from 'commander'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Act, Context } from '../context.ts'
import { type PolicyFlags, parsePolicy } from '../policy-flags.ts'
import { showingInputs } from '../render/inputs-progress.ts'
import { parseTask, type TaskFlags } from '../task-argument.ts'
import { mendCommand } from '../task-options.ts'
import { runJob } from './run.ts'

type Options = PolicyFlags & TaskFlags & { results?: string }

export function retryFailed(group: Command, act: Act): void {
  mendCommand(group, 'retry-failed')
    .description('run the units that failed again, as a new job: with the task and the policy they had, or those given')
    .option('--results <file>', 'write their results to a .csv, .jsonl or .parquet file')
    .action(
      act((context, id: string, words: string[], options: Options) =>
        runJob(context, options, async () => {
          const job = await context.mesh.attach(id)
          const { mesh, signal } = context
          const asked = { ...parsePolicy(options), ...(await taskOf(context, words, options)), signal }
          return await showingInputs(context, (onInputs) => mesh.retryFailed(job, { ...asked, onInputs }))
        }),
      ),
    )
}

/** @throws E_USAGE */
async function taskOf(
  context: Context,
  words: string[],
  options: Options,
): Promise<{ task?: Awaited<ReturnType<typeof parseTask>> }> {
  if (words.length > 0 || context.argv.includes('--')) return { task: await parseTask(context, words, options) }
  const { in: inputs, folder, out, env, stdin, image, takes, gives, export: name } = options
  if ([inputs, folder, out, env, stdin, image, takes, gives, name].some((flag) => flag !== undefined)) {
    throw new TalkootError(
      'E_USAGE',
      '--in, --folder, --out, --env, --stdin, --image, --takes, --gives and --export go with a task: name it again',
    )
  }
  return {}
}
