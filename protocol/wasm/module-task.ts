/**
 * A function of a WebAssembly module as a task: how its units are called. Its canonical JSON is the source of a task of
 * runtime `wasm`. docs/wasm.md is the convention as a person needs it.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'
import { readModule } from './binary.ts'
import { bytesOfBase64 } from './bytes.ts'
import { unitOf } from './convention.ts'

const name = z.string().min(1).max(LIMITS.WASM_NAME_MAX_CHARS)

export const moduleTaskSchema = z.strictObject({
  v: z.literal(1),
  /** The module. */
  base64: z.base64(),
  /** The function that is called for each unit. */
  export: name,
  /** Numbers of the point, by name, as its parameters in this order; or the whole point as JSON in memory. */
  takes: z.union([z.literal('json'), z.array(name).max(LIMITS.WASM_PARAMETERS_MAX)]),
  /** What it returns: one number, or several; or where in memory JSON, 64-bit floats, or bytes lie. */
  gives: z.enum(['number', 'numbers', 'json', 'floats', 'bytes']),
})
export type ModuleTask = z.infer<typeof moduleTaskSchema>

export const encodeModuleTask = (task: ModuleTask): string => canonicalJson(task)

/** @throws E_SOURCE, also when the module does not hold to what is said of it */
export function decodeModuleTask(source: string): ModuleTask {
  const task = decodeSource(moduleTaskSchema, source, 'module')
  unitOf(task, readModule(bytesOfBase64(task.base64)))
  return task
}

export const parametersOfModule = ({ takes }: ModuleTask): string[] => (takes === 'json' ? [] : takes)
