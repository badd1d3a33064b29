/** A Python script as a task: run for each point of a sweep, in the sandbox of JavaScript tasks. docs/python.md */

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Json } from '../protocol/canonical.ts'
import { placeOf } from '../protocol/data/point-inputs.ts'
import { encodeScript, scriptSchema } from '../protocol/python/script.ts'
import { checkWheels } from '../protocol/python/wheel.ts'
import { describedInputs, readSandboxInputs } from './inputs.ts'
import {
  type BundleContext,
  base64Of,
  checkedTask,
  type ProgramTask,
  type TaskBundle,
  taskBundle,
} from './task-bundle.ts'

export type PythonOptions = {
  /**
   * Modules, wheels and data the script needs: files, folders and globs, read when it is submitted; read-only there,
   * beside the script. `data/{sample}.csv` stands for the file of each point.
   */
  inputs?: readonly string[]
  /**
   * Globs of the files it writes that are kept, with placeholders; `.`: every file. Each must match something. The value is `{ stdout, files }`
   * then, or with a function `{ value, files }`.
   */
  outputs?: readonly string[]
  /** What relative paths start from. @default the current folder */
  cwd?: string
}

export class PythonTask<Needs, Value> implements ProgramTask<Needs, Value> {
  declare readonly types?: (needs: Needs) => Value
  readonly file: URL | string
  readonly options: PythonOptions

  constructor(file: URL | string, options: PythonOptions) {
    this.file = file
    this.options = options
  }

  /** @throws E_FILE, E_TREE, E_WHEEL, E_TASK_INVALID, E_TASK_TOO_BIG */
  async bundle({ points, ...reading }: BundleContext): Promise<TaskBundle> {
    const { inputs = [], outputs = [], cwd = '.' } = this.options
    const name = this.file instanceof URL ? fileURLToPath(this.file) : this.file
    const base64 = await base64Of(resolve(cwd, name))
    // Wheels are unpacked before the first unit.
    const read = await readSandboxInputs({ names: inputs, points, cwd }, reading, (place) => !place.endsWith('.whl'))
    checkWheels(read.shared?.tree.files.map(({ path }) => path) ?? [])
    const { named, trees } = describedInputs(read)
    const script = { v: 1, file: placeOf(name), base64, ...named, outputs }
    return taskBundle('python', encodeScript(checkedTask(scriptSchema, script)), { trees })
  }
}

/**
 * A Python file. If it has a function `unit`, that is called with the parameters as keyword arguments, and what it returns is the value; otherwise it
 * is run with `--name value` for each parameter, and its value is `{ stdout }`.
 * @example mesh.map(python<{ steps: number }, { end: number }>('walk.py'), grid({ steps: [100, 1000] }))
 */
export const python = <Needs = unknown, Value = Json>(
  file: URL | string,
  options: PythonOptions = {},
): PythonTask<Needs, Value> => new PythonTask(file, options)
