import { z } from 'zod'

/** A schema for bytes of at most `max` (whatever buffer they are a view of). */
export const bytesSchema = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max, `not bytes, or over ${max}`)
