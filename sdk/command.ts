/** A program as a task: what is started for each point of a sweep. */

import { encodeProgram, type Program, programSchema } from '../protocol/command/program.ts'
import { describedInputs, type LocalTree, readFolders, readJobInputs } from './inputs.ts'
import { type BundleContext, checkedTask, type ProgramTask, type TaskBundle, taskBundle } from './task-bundle.ts'

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
    return taskBundle('command', encodeProgram(program), { trees })
  }
}

/** The program as it is described, and the files it brings. @throws E_TASK_INVALID, E_FILE, E_TREE, E_INPUT */
export async function programOf(
  { argv, options }: Pick<Command, 'argv' | 'options'>,
  { points, ...reading }: BundleContext,
): Promise<{ program: Program; trees: LocalTree[] }> {
  const { inputs = [], folders = [], outputs = [], env = {}, stdin = null, cwd = '.' } = options
  const read = describedInputs(await readJobInputs({ names: inputs, points, cwd }, reading))
  const brought = await readFolders(folders, cwd, reading)
  const program = checkedTask(programSchema, {
    ...{ v: 1, argv, env, stdin, ...read.named, outputs },
    folders: brought.map(({ at, local: { ref: tree } }) => ({ at, tree })),
  })
  return { program, trees: [...read.trees, ...brought.map((one) => one.local)] }
}

/**
 * A program and its arguments, one process for each point of the sweep. `{name}` stands for a parameter, `{unit}` for the index, in
 * arguments, `env` and `stdin`; parameters are also `TALKOOT_PARAM_name`. It runs in a folder of its own, without a network, and
 * fails with E_EXIT unless it ends with 0.
 * @example mesh.map(command(['python3', 'simulate.py', '--x', '{x}'], { inputs: ['simulate.py'] }), grid({ x: range(100) }))
 */
export const command = (argv: readonly string[], options: CommandOptions = {}): Command => new Command(argv, options)
