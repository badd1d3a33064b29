/** A Python script as a task: run for each point of a sweep, in the sandbox of JavaScript tasks. docs/python.md */

import { fileURLToPath } from 'node:url'
import type { Json } from '../protocol/canonical.ts'
import { LIMITS } from '../protocol/limits.ts'
import { encodeScript, scriptSchema } from '../protocol/python/script.ts'
import { readFilesInTask } from './files-in-task.ts'
import { filledNames, namedBy } from './inputs.ts'
import { type BundleContext, checkedTask, type ProgramTask, type TaskBundle, taskBundle } from './task-bundle.ts'

export type PythonOptions = {
  /** Modules, wheels of pure Python and data the script needs, read when it is submitted; there, beside the script. */
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

  /** @throws E_FILE, E_TREE, E_TASK_INVALID, E_TASK_TOO_BIG */
  async bundle({ points, signal }: BundleContext): Promise<TaskBundle> {
    const { inputs = [], outputs = [], cwd = '.' } = this.options
    const name = this.file instanceof URL ? fileURLToPath(this.file) : this.file
    const [script] = await namedBy([name], cwd)
    const filesMax = LIMITS.PYTHON_FILES_MAX
    const files = await readFilesInTask([name, ...filledNames(inputs, points)], { cwd, filesMax, signal })
    return taskBundle('python', encodeScript(checkedTask(scriptSchema, { v: 1, file: script?.path, files, outputs })))
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
