/** A WASI program as a task: what is started for each point of a sweep, in the sandbox of JavaScript tasks. */

import { LIMITS } from '../protocol/limits.ts'
import { decodeWasiProgram, encodeWasiProgram, wasiProgramSchema } from '../protocol/wasm/wasi-program.ts'
import type { CommandValue } from './command.ts'
import { readFilesInTask } from './files-in-task.ts'
import { filledNames } from './inputs.ts'
import { type BundleContext, checkedTask, type ProgramTask, type TaskBundle, taskBundle } from './task-bundle.ts'
import { moduleIn, pathOf } from './wasm.ts'

export type WasiOptions = {
  /** Files, folders and globs the program needs, read when it is submitted; read-only there, under `/`. */
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
  async bundle({ points, signal }: BundleContext): Promise<TaskBundle> {
    const { inputs = [], outputs = [], env = {}, stdin = null, cwd = '.' } = this.options
    const base64 = await moduleIn(pathOf(this.file, cwd))
    const filesMax = LIMITS.WASI_FILES_MAX
    const files = await readFilesInTask(filledNames(inputs, points), { cwd, filesMax, signal })
    const program = { v: 1, base64, args: this.args, env, stdin, files, outputs }
    const source = encodeWasiProgram(checkedTask(wasiProgramSchema, program))
    decodeWasiProgram(source)
    return taskBundle('wasi', source)
  }
}

/**
 * A WASI program (preview 1) and its arguments, started anew for each point of the sweep. `{name}` stands for a parameter, `{unit}`
 * for the index, in arguments, `env` and `stdin`; parameters are also `TALKOOT_PARAM_name`. It fails with E_EXIT unless it ends with 0.
 * @example mesh.map(wasi('queens.wasm', ['{n}', '{column}'], { outputs: ['boards.txt'] }), grid({ n: [8], column: range(8) }))
 */
export const wasi = (file: URL | string, args: readonly string[] = [], options: WasiOptions = {}): WasiProgramTask =>
  new WasiProgramTask(file, args, options)
