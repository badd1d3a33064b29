/** Sources of tasks that are descriptions, not code: JSON, as their schema has it. */

import type { z } from 'zod'
import { TalkootError } from './errors.ts'
import { faultText } from './fault-text.ts'
import { parseToFirstFault } from './first-fault.ts'

/**
 * @param what is described
 * @throws E_SOURCE
 */
export function decodeSource<T>(schema: z.ZodType<T>, source: string, what: string): T {
  let content: unknown
  try {
    content = JSON.parse(source)
  } catch (cause) {
    throw new TalkootError('E_SOURCE', `the description of the ${what} is not JSON`, { cause })
  }
  const parsed = parseToFirstFault(schema, content)
  if (!parsed.success) throw new TalkootError('E_SOURCE', faultText(parsed.error))
  return parsed.data
}
