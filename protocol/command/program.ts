/**
 * A program as a task: what is started for each unit, and the files it brings, by their digest. Its canonical JSON is the
 * source of a task of runtime `command`, so the digest of the task covers all of it.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { type TreeRef, treeRefSchema } from '../data/tree.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'
import { clashOf, filePathFault } from './file-path.ts'
import { placeholdersOf, templateFault, UNIT_PLACEHOLDER } from './template.ts'

const template = z
  .string()
  .max(LIMITS.COMMAND_ARGUMENT_MAX_CHARS)
  .superRefine((text, context) => {
    const fault = text.includes('\0') ? 'has a null character' : templateFault(text)
    if (fault !== null) context.addIssue({ code: 'custom', message: fault })
  })

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'not the name of an environment variable')

const folder = z.string().superRefine((text, context) => {
  const fault = folderFault(text)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

const shape = z.strictObject({
  v: z.literal(1),
  /** The program and its arguments. `{name}` stands for the unit's parameter, `{unit}` for its index, `{{` for a brace. */
  argv: z.array(template).min(1).max(LIMITS.COMMAND_ARGUMENTS_MAX),
  /** Further environment variables, with the same placeholders. */
  env: z.record(variable, template).refine((env) => Object.keys(env).length <= LIMITS.COMMAND_VARIABLES_MAX, {
    error: `${LIMITS.COMMAND_VARIABLES_MAX} variables at most`,
  }),
  /** What it reads from standard input; null: nothing. */
  stdin: template.nullable(),
  /** Files, read-only in the folder the program is started in; null: none. */
  inputs: treeRefSchema.nullable(),
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
  /** Globs of the files it writes that are kept, with the same placeholders; `.`: every file. */
  outputs: z.array(template).max(LIMITS.COMMAND_OUTPUTS_MAX).default([]),
})
export type Program = z.infer<typeof shape>

/** What no machine could start is refused before it is told to any. */
export const programSchema = shape.refine(
  ({ argv, env, stdin, outputs }) =>
    [...argv, ...Object.values(env), stdin ?? '', ...outputs].reduce(
      (bytes, text) => bytes + Buffer.byteLength(text),
      0,
    ) <= LIMITS.COMMAND_LINE_MAX_BYTES,
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
export function folderFault(at: string): string | null {
  if (!at.startsWith('/')) return 'is not an absolute path'
  const fault = filePathFault(at.slice(1))
  if (fault !== null) return fault
  const [, top = ''] = at.split('/')
  return TAKEN.has(top) || at === '/tmp' ? `is where a unit has ${at === '/tmp' ? at : `/${top}`} of its own` : null
}

/** The parameters its templates name. */
export function parametersOf({ argv, env, stdin, outputs }: Program): string[] {
  const named = [...argv, ...Object.values(env), stdin ?? '', ...outputs].flatMap(placeholdersOf)
  return [...new Set(named)].filter((name) => name !== UNIT_PLACEHOLDER)
}

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
