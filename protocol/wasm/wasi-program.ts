/**
 * A WASI program (snapshot preview 1) as a task: how it is started for each unit, and the files it finds. Its canonical
 * JSON is the source of a task of runtime `wasi`.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { clashOf, filePathFault } from '../command/file-path.ts'
import { placeholdersOf, templateFault, UNIT_PLACEHOLDER } from '../command/template.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'
import { readModule } from './binary.ts'
import { bytesOfBase64 } from './bytes.ts'
import { checkProgram } from './convention.ts'

const template = z
  .string()
  .max(LIMITS.COMMAND_ARGUMENT_MAX_CHARS)
  .superRefine((text, context) => {
    const fault = text.includes('\0') ? 'has a null character' : templateFault(text)
    if (fault !== null) context.addIssue({ code: 'custom', message: fault })
  })

const path = z.string().superRefine((text, context) => {
  const fault = filePathFault(text)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

const paths = <T>(pathOf: (item: T) => string, item: z.ZodType<T>) =>
  z
    .array(item)
    .max(LIMITS.WASI_FILES_MAX)
    .superRefine((items, context) => {
      const clash = clashOf(items.map(pathOf), LIMITS.WASI_FILES_MAX)
      if (clash !== null) context.addIssue({ code: 'custom', message: clash })
    })

const fileSchema = z.strictObject({ path, base64: z.base64() })

export const wasiProgramSchema = z.strictObject({
  v: z.literal(1),
  /** The module. */
  base64: z.base64(),
  /** After its own name. `{name}` stands for the unit's parameter, `{unit}` for its index, `{{` for a brace. */
  args: z.array(template).max(LIMITS.COMMAND_ARGUMENTS_MAX),
  /** Further environment variables, with the same placeholders. */
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'not the name of an environment variable'), template)
    .refine((env) => Object.keys(env).length <= LIMITS.COMMAND_VARIABLES_MAX, {
      error: `${LIMITS.COMMAND_VARIABLES_MAX} variables at most`,
    }),
  /** What it reads from standard input; null: nothing. */
  stdin: template.nullable(),
  /** Read-only, in its root folder. */
  files: paths(({ path }) => path, fileSchema),
  /** Files it writes that are part of its value. */
  outputs: paths((path) => path, path),
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
export function parametersOfWasi({ args, env, stdin }: WasiProgram): string[] {
  const named = [...args, ...Object.values(env), stdin ?? ''].flatMap(placeholdersOf)
  return [...new Set(named)].filter((name) => name !== UNIT_PLACEHOLDER)
}
