/** A WASI program as a task: what is started for each point of a sweep, in the sandbox of JavaScript tasks. */

import { decodeWasiProgram, encodeWasiProgram, wasiProgramSchema } from '../protocol/wasm/wasi-program.ts'
import type { CommandValue } from './command.ts'
import { describedInputs, readSandboxInputs } from './inputs.ts'
import {
  type BundleContext,
  base64Of,
  checkedTask,
  type ProgramTask,
  type TaskBundle,
  taskBundle,
} from './task-bundle.ts'
import { pathOf } from './wasm.ts'

export type WasiOptions = {
  /**
   * Files, folders and globs the program needs, read when it is submitted; read-only there, under `/`. `data/{sample}.csv` stands
   * for the file of each point.
   */
  inputs?: readonly string[]
  /** Globs of the files it writes that are kept, with placeholders; `.`: every file. Each must match something. */
  outputs?: readonly string[]
  /** Further environment variables. */
  env?: Readonly<Record<string, string>>
  /** What it reads from standard input. */
  stdin?: string
  /** What relative paths start from. @default the current folder */
  cwd?: string
}

export class WasiProgramTask implements ProgramTask<unknown, CommandValue> {
  declare readonly types?: (needs: unknown) => CommandValue
  readonly file: URL | string
  readonly args: readonly string[]
  readonly options: WasiOptions

  constructor(file: URL | string, args: readonly string[], options: WasiOptions) {
    this.file = file
    this.args = args
    this.options = options
  }

  /** @throws E_FILE, E_TREE, E_SOURCE if the module is no program, E_TASK_INVALID, E_TASK_TOO_BIG */
  async bundle({ points, ...reading }: BundleContext): Promise<TaskBundle> {
    const { inputs = [], outputs = [], env = {}, stdin = null, cwd = '.' } = this.options
    const base64 = await base64Of(pathOf(this.file, cwd))
    const read = describedInputs(await readSandboxInputs({ names: inputs, points, cwd }, reading))
    const program = { v: 1, base64, args: this.args, env, stdin, ...read.named, outputs }
    const source = encodeWasiProgram(checkedTask(wasiProgramSchema, program))
    decodeWasiProgram(source)
    return taskBundle('wasi', source, { trees: read.trees })
  }
}

/**
 * A WASI program (preview 1) and its arguments, started anew for each point of the sweep. `{name}` stands for a parameter, `{unit}`
 * for the index, in arguments, `env` and `stdin`; parameters are also `TALKOOT_PARAM_name`. It fails with E_EXIT unless it ends with 0.
 * @example mesh.map(wasi('queens.wasm', ['{n}', '{column}'], { outputs: ['boards.txt'] }), grid({ n: [8], column: range(8) }))
 */
export const wasi = (file: URL | string, args: readonly string[] = [], options: WasiOptions = {}): WasiProgramTask =>
  new WasiProgramTask(file, args, options)
