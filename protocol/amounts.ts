/** Amounts, as the local API tells them. */

import { z } from 'zod'

export const count = z.int().min(0)

/** A duration, milliseconds. */
export const ms = z.number().min(0)
