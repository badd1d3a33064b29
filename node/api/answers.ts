/** Errors as HTTP answers: the coded body, a fitting status, never a stack trace. */

import { errorBody } from '../../protocol/api.ts'
import { type ErrorCode, type Mover, TalkootError } from '../../protocol/errors.ts'
import { UnplaceableError } from '../../protocol/unplaceable.ts'

const STATUS: Partial<Record<ErrorCode, number>> = {
  E_REQUEST: 400,
  E_UNAUTHORIZED: 401,
  E_NOT_ADMIN: 403,
  E_ROLE: 403,
  E_NOT_FOUND: 404,
  E_JOB_UNPLACEABLE: 409,
  E_JOB_CANCELLED: 409,
  E_JOB_RUNNING: 409,
  E_JOB_NEEDED: 409,
  E_REQUEST_TOO_BIG: 413,
  E_DISK_BUDGET: 507,
  E_DISK_FULL: 507,
  E_DISK_TAKEN: 507,
}
const STATUS_BY_MOVER: Record<Mover, number> = { user: 422, owner: 503, peer: 502, platform: 503, bug: 500 }

/** Answer to bytes that are not HTTP at all, before there is a request. */
export const TRANSPORT_STATUS = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

export function answerError(thrown: unknown): Response {
  // What is not ours may carry paths or values of this machine in its message.
  const error = thrown instanceof TalkootError ? thrown : new TalkootError('E_INTERNAL', 'the node made a mistake')
  const body = errorBody(error, error instanceof UnplaceableError ? [...error.clauses] : undefined)
  return Response.json(body, { status: STATUS[error.code] ?? STATUS_BY_MOVER[error.mover] })
}
