/** Text of others as people may be shown it: a peer does not write to their terminal. */

import { z } from 'zod'

/** What something is called, on one line. */
export const nameSchema = z
  .string()
  .max(64)
  .regex(/^\P{C}*$/u, 'has control characters')

/** All but lines and tabs that would control a terminal is replaced. */
export const withoutControls = (text: string): string => text.replace(/[^\P{C}\n\t]/gu, '\u{fffd}')
