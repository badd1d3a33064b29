/** The attempt that a unit's failure is. */

import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt, Blame } from '../../protocol/work.ts'

export function failed(unit: number, code: ErrorCode, message: string): Attempt {
  // Half a surrogate pair, of the job or left by a cut, would have no canonical form.
  const said = message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS).toWellFormed()
  return { unit, ok: false, code, message: said, blame: BLAME[code] ?? 'program' }
}

/** Whatever is not listed is the program's own doing. */
const BLAME: Partial<Record<ErrorCode, Blame>> = {
  E_TIMEOUT: 'time',
  E_MEMORY: 'memory',
  E_UNIT_CRASHED: 'machine',
  E_PROGRAM_MISSING: 'machine',
  E_CONTAINER_UNUSABLE: 'machine',
  E_RUNTIME_MISSING: 'machine',
  E_INTERNAL: 'machine',
  E_DISK_BUDGET: 'machine',
  E_DISK_TAKEN: 'machine',
  E_DISK_FULL: 'machine',
  E_FILE: 'machine',
}
