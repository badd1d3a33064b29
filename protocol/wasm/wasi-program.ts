/**
 * A WASI program (snapshot preview 1) as a task: how it is started for each unit, and the files it finds, by their
 * digest. Its canonical JSON is the source of a task of runtime `wasi`.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { outputsSchema, templateSchema, variablesSchema } from '../command/parts.ts'
import { parametersIn } from '../command/template.ts'
import { pointInputsSchema } from '../data/point-inputs.ts'
import { treeRefSchema } from '../data/tree.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'
import { readModule } from './binary.ts'
import { bytesOfBase64 } from './bytes.ts'
import { checkProgram } from './convention.ts'

export const wasiProgramSchema = z.strictObject({
  v: z.literal(1),
  /** The module. */
  base64: z.base64(),
  /** After its own name. */
  args: z.array(templateSchema).max(LIMITS.COMMAND_ARGUMENTS_MAX),
  env: variablesSchema,
  /** What it reads from standard input; null: nothing. */
  stdin: templateSchema.nullable(),
  /** Files, read-only in its root folder; null: none. */
  inputs: treeRefSchema.nullable(),
  /** Further files, of which each unit finds those of its point. */
  pointInputs: pointInputsSchema.optional(),
  outputs: outputsSchema,
})
export type WasiProgram = z.infer<typeof wasiProgramSchema>

export const encodeWasiProgram = (program: WasiProgram): string => canonicalJson(program)

/** @throws E_SOURCE */
export function decodeWasiProgram(source: string): WasiProgram {
  const task = decodeSource(wasiProgramSchema, source, 'program')
  checkProgram(readModule(bytesOfBase64(task.base64)))
  return task
}

/** The parameters its templates name. */
export const parametersOfWasi = ({ args, env, stdin, outputs, pointInputs }: WasiProgram): string[] =>
  parametersIn([...args, ...Object.values(env), stdin ?? '', ...outputs, ...(pointInputs?.names ?? [])])
