/** What comes with a request: read within its bound, and of the shape it must have. */

import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { faultText } from '../../protocol/fault-text.ts'
import { LIMITS } from '../../protocol/limits.ts'

/** @throws E_REQUEST_TOO_BIG before more than the bound was kept */
export async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  refuseOver(Number(request.headers['content-length'] ?? 0))
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    refuseOver(bytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

/** @throws E_REQUEST_TOO_BIG, E_REQUEST */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const body = await readBody(request)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new TalkootError('E_REQUEST', 'the body is not JSON', { cause })
  }
}

/** @throws `code` */
export function parse<T extends z.ZodType>(schema: T, value: unknown, code: ErrorCode): z.output<T> {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new TalkootError(code, faultText(parsed.error))
  return parsed.data
}

function refuseOver(bytes: number): void {
  if (bytes <= LIMITS.API_BODY_MAX_BYTES) return
  throw new TalkootError('E_REQUEST_TOO_BIG', `a body has ${LIMITS.API_BODY_MAX_BYTES} bytes at most`)
}
