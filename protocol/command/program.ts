/**
 * A program as a task: what is started for each unit, and the files it brings, by their digest. Its canonical JSON is the
 * source of a task of runtime `command`, so the digest of the task covers all of it.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { pointInputsSchema } from '../data/point-inputs.ts'
import { type TreeRef, treeRefSchema } from '../data/tree.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'
import { clashOf, filePathFault } from './file-path.ts'
import { outputsSchema, templateSchema, variablesSchema } from './parts.ts'
import { parametersIn } from './template.ts'

const folder = z.string().superRefine((text, context) => {
  const fault = folderFault(text)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

const shape = z.strictObject({
  v: z.literal(1),
  /** The program and its arguments. */
  argv: z.array(templateSchema).min(1).max(LIMITS.COMMAND_ARGUMENTS_MAX),
  env: variablesSchema,
  /** What it reads from standard input; null: nothing. */
  stdin: templateSchema.nullable(),
  /** Files, read-only in the folder the program is started in; null: none. */
  inputs: treeRefSchema.nullable(),
  /** Further files, of which each unit finds those of its point. */
  pointInputs: pointInputsSchema.optional(),
  /** Folders, read-only at the paths they have where they come from: environments know where they lie. */
  folders: z
    .array(z.strictObject({ at: folder, tree: treeRefSchema }))
    .max(LIMITS.COMMAND_BROUGHT_FOLDERS_MAX)
    .refine(
      (folders) =>
        clashOf(
          folders.map(({ at }) => at.slice(1)),
          LIMITS.TREE_FOLDERS_MAX,
        ) === null,
      {
        error: 'one folder lies in another',
      },
    )
    .default([]),
  /** Globs of the files it writes that are kept; `.`: every file. */
  outputs: outputsSchema.default([]),
})
export type Program = z.infer<typeof shape>

/** What no machine could start is refused before it is told to any. */
export const programSchema = shape.refine(
  (program) =>
    templatesOf(program).reduce((bytes, text) => bytes + Buffer.byteLength(text), 0) <= LIMITS.COMMAND_LINE_MAX_BYTES,
  { error: `arguments, variables and input are over ${LIMITS.COMMAND_LINE_MAX_BYTES} bytes` },
)

/** What a unit has there already: the system's, or its own. */
const TAKEN = new Set([
  'bin',
  'dev',
  'etc',
  'inputs',
  'lib',
  'lib32',
  'lib64',
  'libx32',
  'proc',
  'sbin',
  'sys',
  'unit',
  'usr',
])

/** What is wrong with the place of a folder that is brought; null: nothing. */
function folderFault(at: string): string | null {
  if (!at.startsWith('/')) return 'is not an absolute path'
  const fault = filePathFault(at.slice(1))
  if (fault !== null) return fault
  const [, top = ''] = at.split('/')
  return TAKEN.has(top) || at === '/tmp' ? `is where a unit has ${at === '/tmp' ? at : `/${top}`} of its own` : null
}

/** The parameters its templates name. */
export const parametersOf = (program: Program): string[] => parametersIn(templatesOf(program))

const templatesOf = ({ argv, env, stdin, outputs, pointInputs }: z.infer<typeof shape>): string[] => [
  ...argv,
  ...(pointInputs?.names ?? []),
  ...Object.values(env),
  stdin ?? '',
  ...outputs,
]

/** The files it brings. */
export const treesOfProgram = ({ inputs, folders }: Program): TreeRef[] => [
  ...(inputs === null ? [] : [inputs]),
  ...folders.map(({ tree }) => tree),
]

export const encodeProgram = (program: z.input<typeof shape>): string => canonicalJson(program)

/** @throws E_SOURCE */
export function decodeProgram(source: string): Program {
  return decodeSource(programSchema, source, 'program')
}
