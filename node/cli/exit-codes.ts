/** What the exit code of `talkoot` says; scripts rely on these. */

import type { ErrorCode, TalkootError } from '../../protocol/errors.ts'

export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  notRunning: 3,
  /** No known peer can run the job now. */
  unplaceable: 4,
  /** Units failed, or were given up. */
  unitsFailed: 5,
  timeout: 6,
  /** Somebody said no: another process, a mesh, a token. */
  refused: 7,
  interrupted: 130,
} as const

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  E_USAGE: EXIT.usage,
  E_FILE: EXIT.usage,
  E_REQUEST: EXIT.usage,
  E_NOT_FOUND: EXIT.usage,
  E_CONFIG: EXIT.usage,
  E_PORT: EXIT.usage,
  E_TOKEN_MALFORMED: EXIT.usage,
  E_JOB_INVALID: EXIT.usage,
  E_EXPRESSION: EXIT.usage,
  E_SWEEP_INVALID: EXIT.usage,
  E_SWEEP_TOO_BIG: EXIT.usage,
  E_TASK_INVALID: EXIT.usage,
  E_TASK_BUNDLE: EXIT.usage,
  E_TASK_TOO_BIG: EXIT.usage,
  E_NOT_RUNNING: EXIT.notRunning,
  E_JOB_UNPLACEABLE: EXIT.unplaceable,
  E_UNITS_FAILED: EXIT.unitsFailed,
  E_JOB_CANCELLED: EXIT.unitsFailed,
  E_WAITED: EXIT.timeout,
  E_MESH_UNREACHABLE: EXIT.timeout,
  E_ALREADY_RUNNING: EXIT.refused,
  E_STATE_UNSAFE: EXIT.refused,
  E_LEDGER_CORRUPT: EXIT.refused,
  E_LEDGER_VERSION: EXIT.refused,
  E_DISK_FULL: EXIT.refused,
  E_UNAUTHORIZED: EXIT.refused,
  E_TOKEN_WRONG: EXIT.refused,
  E_TOKEN_EXPIRED: EXIT.refused,
  E_TOKEN_REVOKED: EXIT.refused,
  E_TOKEN_USED: EXIT.refused,
  E_TOO_MANY_TRIES: EXIT.refused,
  E_MESH_MISMATCH: EXIT.refused,
  E_ALREADY_MEMBER: EXIT.refused,
  E_NOT_ADMIN: EXIT.refused,
  E_NOT_MEMBER: EXIT.refused,
  E_CERT_INVALID: EXIT.refused,
  E_CERT_EXPIRED: EXIT.refused,
  E_CERT_REVOKED: EXIT.refused,
  E_ROLE: EXIT.refused,
  E_ROOT: EXIT.refused,
}

export const exitCodeOf = (error: TalkootError): number => BY_CODE[error.code] ?? EXIT.internal
