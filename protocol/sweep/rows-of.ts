/** Which files of rows a sweep reads, by their digests. */

import type { Digest } from '../canonical.ts'
import type { Sweep } from './schema.ts'

export function rowsOf(sweep: Sweep): Digest[] {
  if (sweep.kind === 'rows') return [sweep.blob]
  if (sweep.kind === 'cross') return sweep.of.flatMap(rowsOf)
  return sweep.kind === 'exclude' || sweep.kind === 'slice' ? rowsOf(sweep.of) : []
}
