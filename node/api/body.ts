/** Request bodies, read whole and never beyond their bound. */

import type { IncomingMessage } from 'node:http'
import { TalkootError } from '../../protocol/errors.ts'
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

function refuseOver(bytes: number): void {
  if (bytes <= LIMITS.API_BODY_MAX_BYTES) return
  throw new TalkootError('E_REQUEST_TOO_BIG', `a body has ${LIMITS.API_BODY_MAX_BYTES} bytes at most`)
}
