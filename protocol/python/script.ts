/**
 * A Python script as a task: its file and the files it brings. Its canonical JSON is the source of a task of runtime
 * `python`, so the digest of the task covers all of it.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { filesInTaskSchema, outputsSchema } from '../command/parts.ts'
import { LIMITS } from '../limits.ts'
import { decodeSource } from '../source.ts'

export const scriptSchema = z
  .strictObject({
    v: z.literal(1),
    /** The script among the files. */
    file: z.string(),
    /** In the folder the script is run in. Wheels that lie there are unpacked, and can be imported. */
    files: filesInTaskSchema(LIMITS.PYTHON_FILES_MAX),
    outputs: outputsSchema.default([]),
  })
  .refine(({ file, files }) => files.some(({ path }) => path === file), { error: 'the script is not among the files' })
export type Script = z.infer<typeof scriptSchema>

export const encodeScript = (script: Omit<Script, 'outputs'> & Partial<Script>): string =>
  canonicalJson({ outputs: [], ...script })

/** @throws E_SOURCE */
export function decodeScript(source: string): Script {
  return decodeSource(scriptSchema, source, 'script')
}
