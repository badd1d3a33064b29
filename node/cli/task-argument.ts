/** What is run, as it stands on a command line: `FILE`, or `-- PROGRAM ARGUMENT...`. */

import { resolve } from 'node:path'
import type { Json } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import type { ProgramTask } from '../../sdk/bundle.ts'
import { command } from '../../sdk/command.ts'
import type { Context } from './context.ts'

export type TaskFlags = { in?: string[]; folder?: string[]; env?: string[]; stdin?: string }

/** The path of a module, or a program. @throws E_USAGE */
export function parseTask(
  { argv, io }: Pick<Context, 'argv' | 'io'>,
  words: string[],
  flags: TaskFlags,
): string | ProgramTask<unknown, Json> {
  const { in: inputs = [], folder: folders = [], env = [], stdin } = flags
  if (argv.includes('--')) {
    if (words.length === 0) throw new TalkootError('E_USAGE', 'what to run? give a program after --')
    const variables = Object.fromEntries(env.map(parseVariable))
    return command(words, { inputs, folders, env: variables, cwd: io.cwd, ...(stdin === undefined ? {} : { stdin }) })
  }
  const [file, ...more] = words
  if (file === undefined) throw new TalkootError('E_USAGE', 'what to run? give a task module, or -- and a program')
  if (more.length > 0) throw new TalkootError('E_USAGE', `a program is given after --: \`-- ${words.join(' ')}\``)
  if (inputs.length + folders.length > 0 || env.length > 0 || stdin !== undefined) {
    throw new TalkootError('E_USAGE', '--in, --folder, --env and --stdin are for programs, given after --')
  }
  return resolve(io.cwd, file)
}

function parseVariable(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new TalkootError('E_USAGE', `--env is NAME=value, not "${text}"`)
  return [text.slice(0, at), text.slice(at + 1)]
}
