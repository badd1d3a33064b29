/** What is run, as it stands on a command line: `FILE`, `SCRIPT.py`, `MODULE.wasm [-- ARGUMENT...]`, or `-- PROGRAM ARGUMENT...`. */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Json } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { readModule } from '../../protocol/wasm/binary.ts'
import { moduleTaskSchema } from '../../protocol/wasm/module-task.ts'
import { command } from '../../sdk/command.ts'
import { container } from '../../sdk/container.ts'
import { python } from '../../sdk/python.ts'
import type { ProgramTask } from '../../sdk/task-bundle.ts'
import { wasi } from '../../sdk/wasi.ts'
import { WasmTask } from '../../sdk/wasm.ts'
import { onFile } from '../files/file-error.ts'
import type { Context } from './context.ts'

type ProgramFlags = { image?: string; in?: string[]; folder?: string[]; env?: string[]; stdin?: string }
type ModuleFlags = { takes?: string; gives?: string; export?: string }
export type TaskFlags = ProgramFlags & ModuleFlags & { out?: string[] }

type Terminal = Pick<Context, 'argv' | 'io'>

/** The path of a module of JavaScript, or a program. @throws E_USAGE, E_FILE, E_SOURCE */
export async function parseTask(
  terminal: Terminal,
  words: string[],
  flags: TaskFlags,
): Promise<string | ProgramTask<unknown, Json>> {
  const [first, ...more] = words
  const { argv, io } = terminal
  const rest = argv.indexOf('--')
  if (first?.endsWith('.wasm') && (rest < 0 || argv.indexOf(first) < rest)) {
    if (rest < 0 && more.length > 0) throw new TalkootError('E_USAGE', 'arguments of a program are given after --')
    return await parseModule(resolve(io.cwd, first), more, flags, io.cwd)
  }
  const { takes, gives, export: name, out, image, ...ofProgram } = flags
  if ([takes, gives, name].some((flag) => flag !== undefined)) {
    throw new TalkootError('E_USAGE', '--takes, --gives and --export are for .wasm files')
  }
  if (rest >= 0) {
    if (first === undefined) throw new TalkootError('E_USAGE', 'what to run? give a program after --')
    const options = { ...optionsOf(ofProgram, io.cwd), outputs: out ?? [] }
    return image === undefined ? command(words, options) : container(image, words, options)
  }
  if (first === undefined)
    throw new TalkootError('E_USAGE', 'what to run? give a FILE, a SCRIPT.py, a MODULE.wasm, or -- and a program')
  if (more.length > 0) throw new TalkootError('E_USAGE', `a program is given after --: \`-- ${words.join(' ')}\``)
  if (first.endsWith('.py') && image === undefined) return parseScript(first, ofProgram, out, io.cwd)
  if (out !== undefined) {
    throw new TalkootError('E_USAGE', '--out names files a program writes; results go to a file with --results')
  }
  if (image !== undefined) throw new TalkootError('E_USAGE', '--image is for programs, given after --')
  if (isSet(ofProgram)) {
    throw new TalkootError('E_USAGE', '--in, --folder, --env and --stdin are for programs, given after --')
  }
  return resolve(io.cwd, first)
}

function parseScript(
  file: string,
  { in: inputs = [], ...ofProgram }: ProgramFlags,
  outputs: readonly string[] = [],
  cwd: string,
): ProgramTask<unknown, Json> {
  if (isSet(ofProgram)) {
    throw new TalkootError(
      'E_USAGE',
      '--folder, --env and --stdin are for programs: give them after --, as `-- python3`',
    )
  }
  return python(file, { inputs, outputs, cwd })
}

/** A module with a beginning is a WASI program, any other a library. */
async function parseModule(
  file: string,
  args: string[],
  flags: TaskFlags,
  cwd: string,
): Promise<ProgramTask<unknown, Json>> {
  const { takes: given = '', gives, export: name = 'unit', out, ...ofProgram } = flags
  const facts = readModule(await onFile(file, () => readFile(file)))
  if (facts.functions.has('_start')) {
    if ([flags.takes, gives, flags.export].some((flag) => flag !== undefined)) {
      throw new TalkootError('E_USAGE', '--takes, --gives and --export are for libraries: this is a WASI program')
    }
    const { folders, ...options } = optionsOf(ofProgram, cwd)
    if (folders.length > 0) throw new TalkootError('E_USAGE', '--folder is for programs of the machine: use --in')
    return wasi(file, args, { ...options, outputs: out ?? [] })
  }
  if (args.length > 0 || out !== undefined || isSet(ofProgram)) {
    throw new TalkootError('E_USAGE', 'arguments, --in, --out, --env and --stdin are for programs: this has no _start')
  }
  const takes = given === 'json' ? given : given.split(',').flatMap((word) => word.trim() || [])
  const parsed = moduleTaskSchema.shape.gives.safeParse(gives ?? (takes === 'json' ? 'json' : 'number'))
  if (!parsed.success)
    throw new TalkootError('E_USAGE', `--gives is number, numbers, json, floats or bytes, not ${gives}`)
  return new WasmTask<unknown, Json>(file, { v: 1, export: name, takes, gives: parsed.data })
}

function optionsOf({ in: inputs = [], folder: folders = [], env = [], stdin }: ProgramFlags, cwd: string) {
  const variables = Object.fromEntries(env.map(parseVariable))
  return { inputs, folders, env: variables, cwd, ...(stdin === undefined ? {} : { stdin }) }
}

const isSet = ({ image, in: inputs = [], folder: folders = [], env = [], stdin }: ProgramFlags): boolean =>
  inputs.length + folders.length + env.length > 0 || [image, stdin].some((flag) => flag !== undefined)

function parseVariable(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new TalkootError('E_USAGE', `--env is NAME=value, not "${text}"`)
  return [text.slice(0, at), text.slice(at + 1)]
}
