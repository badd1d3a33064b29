/** Requests to the local node. */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { addressFileSchema, errorBodySchema, type PlacementClause } from '../protocol/api.ts'
import { TalkootError } from '../protocol/errors.ts'
import { type StatePaths, statePaths } from '../protocol/home.ts'
import { LIMITS } from '../protocol/limits.ts'

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
    const response = await this.#fetch(path, request)
    try {
      return schema.parse(await response.json())
    } catch (cause) {
      request.signal?.throwIfAborted()
      if (cause instanceof z.ZodError) {
        throw new TalkootError('E_PROTOCOL_VERSION', `the node answers ${path} in another form`, { cause })
      }
      throw lost(cause)
    }
  }

  /** Lines of a streamed answer. Ends when the node ends it. @throws E_NOT_RUNNING when the connection breaks */
  async *lines(path: string, request: Request = {}): AsyncGenerator<string> {
    const response = await this.#fetch(path, request)
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

  async #fetch(path: string, { method = 'GET', query, body, signal }: Request): Promise<Response> {
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
      signal?.throwIfAborted()
      throw lost(cause)
    }
    if (!response.ok) throw await refusalOf(response)
    return response
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
  return new TalkootError('E_NOT_RUNNING', `the node does not answer: ${String(reason)}`, { cause })
}

async function refusalOf(response: Response): Promise<TalkootError> {
  const body = errorBodySchema.safeParse(await response.json().catch(() => undefined))
  if (!body.success) return new TalkootError('E_INTERNAL', `the node answers with HTTP ${response.status}`)
  const { error, clauses } = body.data
  if (clauses === undefined) return TalkootError.fromObject(error)
  return TalkootError.fromObject({ ...error, meta: { ...error.meta, clauses: clauses.map(describe) } })
}

const describe = ({ clause, excludes, remaining }: PlacementClause): string =>
  `${clause}: excludes ${excludes}, leaves ${remaining}`
