/** Coded ends of a unit that the harness itself can tell. Task code never gets hold of a `Failure`. */

import type { ErrorCode } from '../../../../protocol/errors.ts'
import { LIMITS } from '../../../../protocol/limits.ts'

export class Failure {
  readonly #ours = true

  /** Unlike `instanceof`, asks nothing of a proxy. */
  static is(thrown: unknown): thrown is Failure {
    return typeof thrown === 'object' && thrown !== null && #ours in thrown
  }

  readonly code: ErrorCode
  readonly message: string

  constructor(code: ErrorCode, message: string) {
    this.code = code
    this.message = message
  }
}

/** Codes an error thrown inside a task may carry: of its schemas, which are checked there, of its `require`, and of what it saves. */
const TASK_CODES: readonly unknown[] = ['E_INPUT', 'E_OUTPUT', 'E_IMPORT', 'E_CHECKPOINT']
const IMPORT_REFUSED = 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING'
/** V8's and Deno's own words, of the one version that is shipped. */
const OUT_OF_MEMORY =
  /^(Array buffer allocation failed|WebAssembly\.\w+\(\): (could not allocate memory|Out of memory.*))/

/** What was thrown, as a failure. Asks a hostile value for its message at most once. */
export function failureOf(thrown: unknown, code: ErrorCode = 'E_TASK_THREW'): Failure {
  if (Failure.is(thrown)) return thrown
  try {
    const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as { code?: unknown; message?: unknown }
    const said = thrown instanceof Error ? error.message : thrown
    const message = (typeof said === 'string' ? said : String(said)).slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
    const given = error.code
    if (given === IMPORT_REFUSED) return new Failure('E_IMPORT', 'import() at run time')
    if (thrown instanceof RangeError && OUT_OF_MEMORY.test(message)) return new Failure('E_MEMORY', message)
    return new Failure(TASK_CODES.includes(given) ? (given as ErrorCode) : code, message)
  } catch {
    return new Failure(code, 'a value that cannot be shown')
  }
}
