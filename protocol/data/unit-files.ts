/** Files that a unit wrote, as they stand in its value: by the digest of their tree, so what agrees on the value agrees on them. */

import { z } from 'zod'
import { LIMITS } from '../limits.ts'
import { type TreeRef, treeRefSchema } from './tree.ts'

const valueSchema = z.object({
  files: treeRefSchema.refine(({ bytes }) => bytes <= LIMITS.UNIT_FILES_MAX_BYTES, {
    error: 'more bytes than a unit may leave',
  }),
})

/** Of a value as data; null: it names none. */
export function filesOf(value: unknown): TreeRef | null {
  const parsed = valueSchema.safeParse(value)
  return parsed.success ? parsed.data.files : null
}
