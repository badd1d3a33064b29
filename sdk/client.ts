/** Requests to the local node. */

import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { addressFileSchema, errorBodySchema } from '../protocol/api.ts'
import { TalkootError } from '../protocol/errors.ts'
import { type StatePaths, statePaths } from '../protocol/home.ts'
import { LIMITS } from '../protocol/limits.ts'
import { UnplaceableError } from '../protocol/unplaceable.ts'

export type Address = { url: string; token: string }

/** Which node: of a state folder (that of this user by default), or at an address. */
export type ConnectOptions = { home?: string; url?: string; token?: string }

export type Request = {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  query?: Record<string, string>
  body?: Uint8Array<ArrayBuffer> | object
  signal?: AbortSignal | undefined
}

export class Client {
  /** Asked before each request: a node that was restarted has another address and token. */
  readonly #locate: () => Promise<Address>

  constructor(options: ConnectOptions) {
    this.#locate = locator(options)
  }

  /** @throws E_NOT_RUNNING when nobody answers, or the error the node answers with */
  async request<T>(path: string, schema: z.ZodType<T>, request: Request = {}): Promise<T> {
    const timeout = AbortSignal.timeout(LIMITS.API_REQUEST_TIMEOUT_MS)
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout])
    const response = await this.#fetch(path, { ...request, signal }, request.signal)
    let text: string
    try {
      text = await response.text()
    } catch (cause) {
      request.signal?.throwIfAborted()
      throw lost(cause)
    }
    return readAs(schema, text, path)
  }

  /** An answer that is not JSON, whole. @throws as `request` */
  async bytes(path: string, request: Request = {}): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.parts(path, request)) parts.push(part)
    return new Uint8Array(Buffer.concat(parts))
  }

  /** The same as it comes. @throws E_NOT_RUNNING when the connection breaks */
  async *parts(path: string, request: Request = {}): AsyncGenerator<Uint8Array> {
    const response = await this.#fetch(path, request, request.signal)
    try {
      yield* response.body ?? new ReadableStream<Uint8Array>()
    } catch (cause) {
      request.signal?.throwIfAborted()
      throw lost(cause)
    }
  }

  /** Lines of a streamed answer. Ends when the node ends it. @throws E_NOT_RUNNING when the connection breaks */
  async *lines(path: string, request: Request = {}): AsyncGenerator<string> {
    const response = await this.#fetch(path, request, request.signal)
    let held = ''
    try {
      for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        const lines = (held + text).split('\n')
        held = lines.pop() ?? ''
        if (held.length > LIMITS.API_LINE_MAX_CHARS) throw new TalkootError('E_FRAME_TOO_BIG', `a line of ${path}`)
        yield* lines
      }
    } catch (cause) {
      request.signal?.throwIfAborted()
      throw cause instanceof TalkootError ? cause : lost(cause)
    }
  }

  /** `asked` is the caller's own signal, whose reason is the caller's to see. */
  async #fetch(
    path: string,
    { method = 'GET', query, body, signal }: Request,
    asked: AbortSignal | undefined,
  ): Promise<Response> {
    const { url, token } = await this.#locate()
    const target = new URL(path, url)
    for (const [name, value] of Object.entries(query ?? {})) target.searchParams.set(name, value)
    const raw = body instanceof Uint8Array
    const headers: Record<string, string> = { authorization: `Bearer ${token}` }
    if (body !== undefined) headers['content-type'] = raw ? 'application/octet-stream' : 'application/json'
    let response: Response
    try {
      response = await fetch(target, {
        method,
        headers,
        ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (cause) {
      asked?.throwIfAborted()
      throw lost(cause)
    }
    if (!response.ok) throw await refusalOf(response)
    return response
  }
}

/** @throws E_PROTOCOL_VERSION when the node, or a stranger at its address, says something else */
export function readAs<T>(schema: z.ZodType<T>, text: string, path: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new TalkootError('E_PROTOCOL_VERSION', `the node answers ${path} in another form`, { cause })
  }
}

/** True for what a node that comes back would mend. */
export const isLost = (error: unknown): boolean => error instanceof TalkootError && error.code === 'E_NOT_RUNNING'

function locator({ home, url, token }: ConnectOptions): () => Promise<Address> {
  if (url !== undefined) return async () => ({ url, token: token ?? '' })
  const paths = statePaths(home === undefined ? process.env : { TALKOOT_HOME: home })
  return () => readAddress(paths)
}

async function readAddress({ api, state }: StatePaths): Promise<Address> {
  try {
    return addressFileSchema.parse(JSON.parse(await readFile(api, 'utf8')))
  } catch (cause) {
    throw new TalkootError('E_NOT_RUNNING', `no node runs on ${state}`, { cause, meta: { folder: state } })
  }
}

function lost(cause: unknown): TalkootError {
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  const words = reason instanceof Error && reason.message !== '' ? reason.message : String(reason)
  return new TalkootError('E_NOT_RUNNING', `the node does not answer: ${words}`, { cause })
}

async function refusalOf(response: Response): Promise<TalkootError> {
  const body = errorBodySchema.safeParse(await response.json().catch(() => undefined))
  if (!body.success) return new TalkootError('E_INTERNAL', `the node answers with HTTP ${response.status}`)
  const { error, clauses } = body.data
  if (clauses === undefined) return TalkootError.fromObject(error)
  return new UnplaceableError(error.message, clauses)
}
