/** What came from elsewhere, held against its schema up to the first thing that is wrong: to list a million of them takes a gigabyte. */

import type { z } from 'zod'

/** Zod's own `validate` stops so; its types do not say that whatever else reads by a schema can. */
const AT_FIRST_FAULT: z.core.ParseContext<z.core.$ZodIssue> & { abortEarly: true } = { abortEarly: true }

export const parseToFirstFault = <T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> =>
  schema.safeParse(value, AT_FIRST_FAULT)
