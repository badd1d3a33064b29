/** Parts that descriptions of programs, WASI programs and scripts have in common. */

import { z } from 'zod'
import { LIMITS } from '../limits.ts'
import { filePathFault } from './file-path.ts'
import { templateFault } from './template.ts'

/** A text with places for a unit's parameters. `{name}` stands for a parameter, `{unit}` for its index, `{{` for a brace. */
export const templateSchema = z
  .string()
  .max(LIMITS.COMMAND_ARGUMENT_MAX_CHARS)
  .superRefine((text, context) => {
    const fault = text.includes('\0') ? 'has a null character' : templateFault(text)
    if (fault !== null) context.addIssue({ code: 'custom', message: fault })
  })

/** Further environment variables. */
export const variablesSchema = z
  // Counted first: each one that is wrong is looked for.
  .custom<Record<string, string>>((env) => Object.keys(Object(env)).length <= LIMITS.COMMAND_VARIABLES_MAX, {
    error: `${LIMITS.COMMAND_VARIABLES_MAX} variables at most`,
    abort: true,
  })
  .pipe(
    z.record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'not the name of an environment variable'),
      templateSchema,
    ),
  )

export const filePathSchema = z.string().superRefine((text, context) => {
  const fault = filePathFault(text)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

/** Globs of the files a unit writes that are kept, as templates; `.`: every file. */
export const outputsSchema = z.array(templateSchema).max(LIMITS.COMMAND_OUTPUTS_MAX)
