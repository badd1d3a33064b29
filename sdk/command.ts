/** A program as a task: what is started for each point of a sweep. */

import { z } from 'zod'
import { digestOf } from '../protocol/canonical.ts'
import { encodeProgram, type Program, programSchema } from '../protocol/command/program.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import type { RuntimeKind } from '../protocol/runtime-kinds.ts'
import type { BundleContext, ProgramTask, TaskBundle } from './bundle.ts'
import { filledNames, isTemplate, type LocalTree, readFolders, readInputs } from './inputs.ts'

export type CommandOptions = {
  /**
   * Files, folders and globs the program needs, read when it is submitted; read-only there, at the path given here.
   * `data/{sample}.csv` stands for the file of each point.
   */
  inputs?: readonly string[]
  /**
   * Folders that must lie where they lie here, as a Python virtual environment does: read-only there, at the same path, their `bin`
   * before all others in PATH.
   */
  folders?: readonly string[]
  /** Further environment variables. */
  env?: Readonly<Record<string, string>>
  /** Globs of the files it writes that are kept, with placeholders; `.`: every file. Each must match something. */
  outputs?: readonly string[]
  /** What it reads from standard input. */
  stdin?: string
  /** What relative paths of files start from. @default the current folder */
  cwd?: string
}

/** What a program gives once it has ended with 0. */
export type CommandValue = {
  stdout: string
  /** The files it left, with `outputs`. */
  files?: { digest: string; bytes: number }
}

export class Command implements ProgramTask<unknown, CommandValue> {
  declare readonly types?: (needs: unknown) => CommandValue
  readonly argv: readonly string[]
  readonly options: CommandOptions

  constructor(argv: readonly string[], options: CommandOptions) {
    this.argv = argv
    this.options = options
  }

  async bundle(context: BundleContext): Promise<TaskBundle> {
    const { program, trees } = await programOf(this, context)
    return taskBundle('command', encodeProgram(program), trees)
  }
}

/** The program as it is described, and the files it brings. @throws E_TASK_INVALID, E_FILE, E_TREE, E_INPUT */
export async function programOf(
  { argv, options }: Pick<Command, 'argv' | 'options'>,
  { points, ...reading }: BundleContext,
): Promise<{ program: Program; trees: LocalTree[] }> {
  const { inputs = [], folders = [], outputs = [], env = {}, stdin = null, cwd = '.' } = options
  const names = inputs.some(isTemplate) ? filledNames(inputs, points()) : inputs
  const local = await readInputs(names, cwd, reading)
  const brought = await readFolders(folders, cwd, reading)
  const parsed = programSchema.safeParse({
    ...{ v: 1, argv, env, stdin, inputs: local?.ref ?? null, outputs },
    folders: brought.map(({ at, local: { ref: tree } }) => ({ at, tree })),
  })
  if (!parsed.success) throw new TalkootError('E_TASK_INVALID', z.prettifyError(parsed.error))
  return { program: parsed.data, trees: [...(local === null ? [] : [local]), ...brought.map((one) => one.local)] }
}

/** @throws E_TASK_TOO_BIG */
export function taskBundle(runtime: RuntimeKind, text: string, trees: readonly LocalTree[]): TaskBundle {
  const source = new TextEncoder().encode(text)
  if (source.length > LIMITS.TASK_MAX_BYTES) {
    throw new TalkootError('E_TASK_TOO_BIG', `the program is described in over ${LIMITS.TASK_MAX_BYTES} bytes`)
  }
  return { ref: { runtime, digest: digestOf(source), bytes: source.length }, source, trees, agreement: 'exact' }
}

/**
 * A program and its arguments, one process for each point of the sweep. `{name}` stands for a parameter, `{unit}` for the index, in
 * arguments, `env` and `stdin`; parameters are also `TALKOOT_PARAM_name`. It runs in a folder of its own, without a network, and
 * fails with E_EXIT unless it ends with 0.
 * @example mesh.map(command(['python3', 'simulate.py', '--x', '{x}'], { inputs: ['simulate.py'] }), grid({ x: range(100) }))
 */
export const command = (argv: readonly string[], options: CommandOptions = {}): Command => new Command(argv, options)
