/** A Python script as a task: run for each point of a sweep, in the sandbox of JavaScript tasks. docs/python.md */

import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Json } from '../protocol/canonical.ts'
import { TalkootError } from '../protocol/errors.ts'
import { LIMITS } from '../protocol/limits.ts'
import { encodeScript, scriptSchema } from '../protocol/python/script.ts'
import type { BundleContext, ProgramTask, TaskBundle } from './bundle.ts'
import { readFilesInTask } from './files-in-task.ts'
import { filledNames, isTemplate, namedBy } from './inputs.ts'
import { bundleOf } from './wasm.ts'

export type PythonOptions = {
  /** Modules, wheels of pure Python and data the script needs, read when it is submitted; there, beside the script. */
  inputs?: readonly string[]
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
    const { inputs = [], cwd = '.' } = this.options
    const name = this.file instanceof URL ? fileURLToPath(this.file) : this.file
    const names = inputs.some(isTemplate) ? filledNames(inputs, points()) : inputs
    const [script] = await namedBy([name], cwd)
    const filesMax = LIMITS.PYTHON_FILES_MAX
    const files = await readFilesInTask([name, ...names], { cwd, filesMax, signal })
    const parsed = scriptSchema.safeParse({ v: 1, file: script?.path, files })
    if (!parsed.success) throw new TalkootError('E_TASK_INVALID', z.prettifyError(parsed.error))
    return bundleOf('python', encodeScript(parsed.data))
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
