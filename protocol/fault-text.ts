/** What a schema found wrong, for the one line an error has: `memoryMiB: Too small: expected number to be >=16`. */

import type { z } from 'zod'

export const faultText = ({ issues }: z.core.$ZodError): string =>
  issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`))
    .join('; ')
