import { z } from 'zod'

/** A schema for bytes of at most `max` (whatever buffer they are a view of). */
export const bytesSchema = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max, `not bytes, or over ${max}`)

/** A schema for text of at most `max` bytes of UTF-8. Most text is short enough that its length alone tells. */
export const textSchema = (max: number) =>
  z
    .string()
    .max(max)
    .refine((text) => text.length * 3 <= max || Buffer.byteLength(text) <= max, { error: `over ${max} bytes of UTF-8` })
