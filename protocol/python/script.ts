/**
 * A Python script as a task: the script itself, and the files it brings by their digest. Its canonical JSON is the source of a task
 * of runtime `python`, so the digest of the task covers all of it.
 */

import { z } from 'zod'
import { canonicalJson } from '../canonical.ts'
import { filePathSchema, outputsSchema } from '../command/parts.ts'
import { parametersIn } from '../command/template.ts'
import { pointInputsSchema } from '../data/point-inputs.ts'
import { treeRefSchema } from '../data/tree.ts'
import { decodeSource } from '../source.ts'

export const scriptSchema = z.strictObject({
  v: z.literal(1),
  /** Where the script lies in the folder it is run in, whatever the tree has there. */
  file: filePathSchema,
  /** The script. */
  base64: z.base64(),
  /** Files, read-only in the same folder; null: none. Wheels that lie right in it are unpacked, and can be imported. */
  inputs: treeRefSchema.nullable().default(null),
  /** Further files, of which each unit finds those of its point. None are wheels. */
  pointInputs: pointInputsSchema.optional(),
  outputs: outputsSchema.default([]),
})
export type Script = z.infer<typeof scriptSchema>

export const encodeScript = (script: z.input<typeof scriptSchema>): string =>
  canonicalJson({ inputs: null, outputs: [], ...script })

/** @throws E_SOURCE */
export function decodeScript(source: string): Script {
  return decodeSource(scriptSchema, source, 'script')
}

/** The parameters its templates name: what else it reads, only a run would show. */
export const parametersOfScript = ({ outputs, pointInputs }: Script): string[] =>
  parametersIn([...outputs, ...(pointInputs?.names ?? [])])
