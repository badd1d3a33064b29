import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { z } from 'zod'
import { readAddressFile, removeAddressFile, writeAddressFile } from '../../node/api/address-file.ts'
import { ApiServer } from '../../node/api/server.ts'
import { eventStream } from '../../node/api/streams.ts'
import {
  API,
  blobStoredSchema,
  errorBodySchema,
  jobInfoSchema,
  jobSummarySchema,
  jobsSchema,
  type ResultRow,
  resultRowSchema,
  statusSchema,
  stoppingSchema,
} from '../../protocol/api.ts'
import { peerInfoSchema, peersSchema } from '../../protocol/api-peers.ts'
import { revokedSchema, tokenCreatedSchema, tokensSchema } from '../../protocol/api-tokens.ts'
import { digestOf } from '../../protocol/canonical.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { accepted, FakeServices, JOB_ID, jobInfo } from './fake-services.ts'

let folder: string
let services: FakeServices
let server: ApiServer
let url: string
let token: string

const log = pino({ level: 'silent' })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-api-'))
  services = new FakeServices()
  server = new ApiServer({ services, log }, { port: 0, addressFile: join(folder, 'api.json') })
  ;({ url, token } = await server.start())
})

afterEach(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const headers = (): Record<string, string> => ({ authorization: `Bearer ${token}` })
const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, url), { ...init, headers: { ...headers(), ...init.headers } })

async function expectError(response: Response, status: number, code: string): Promise<z.infer<typeof errorBodySchema>> {
  const body = errorBodySchema.parse(await response.json())
  expect({ status: response.status, code: body.error.code }).toEqual({ status, code })
  expect(JSON.stringify(body)).not.toMatch(/\n\s+at /)
  return body
}

const jobRequest = () => ({ name: 'squares', task: jobInfo().task, sweep: jobInfo().sweep })

describe('who may speak to it', () => {
  test('nobody without the token, or with another one', async () => {
    await expectError(await fetch(new URL(API.status, url)), 401, 'E_UNAUTHORIZED')
    const wrong = { authorization: `Bearer ${'A'.repeat(token.length)}` }
    await expectError(await ask(API.status, { headers: wrong }), 401, 'E_UNAUTHORIZED')
    await expectError(await fetch(new URL('/nowhere', url)), 401, 'E_UNAUTHORIZED')
  })

  test('nobody under another host name, even with the token', async () => {
    const [response] = (await once(raw('GET', API.status, { host: 'evil.example' }).end(), 'response')) as [
      IncomingMessage,
    ]
    expect(response.statusCode).toBe(401)
    response.resume()
  })

  test('the token is new with each start and in a file only its owner reads', async () => {
    const file = join(folder, 'api.json')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readAddressFile(file)).toEqual({ schema: 'talkoot.api/1', url, token, pid: process.pid })
    await server.stop()
    expect(readAddressFile(file)).toBeNull()
    expect((await server.start()).token).not.toBe(token)
  })

  test('a file of another process is left alone, a damaged one counts as none', () => {
    const file = join(folder, 'other.json')
    writeAddressFile(file, { url, token })
    writeFileSync(file, readFileSync(file, 'utf8').replace(`"pid":${process.pid}`, '"pid":1'))
    removeAddressFile(file)
    expect(readAddressFile(file)?.pid).toBe(1)
    writeFileSync(file, '{"schema":"talkoot.api/1"')
    expect(readAddressFile(file)).toBeNull()
  })

  test('no more than a bounded number of connections', async () => {
    const sockets: Socket[] = []
    const { port } = new URL(url)
    for (let i = 0; i < LIMITS.API_CONNECTIONS_MAX; i += 1) {
      const socket = connect(Number(port), '127.0.0.1')
      sockets.push(socket)
      await once(socket, 'connect')
    }
    const beyond = connect(Number(port), '127.0.0.1')
    beyond.on('error', () => undefined)
    await once(beyond, 'close')
    for (const socket of sockets) socket.destroy()
  })

  test('a port in use is refused with its code', async () => {
    const port = Number(new URL(url).port)
    const second = new ApiServer({ services, log }, { port, addressFile: join(folder, 'second.json') })
    await expect(second.start()).rejects.toMatchObject({ code: 'E_PORT' })
  })
})

describe('what it refuses', () => {
  test('a path or method it does not have', async () => {
    await expectError(await ask('/v1/nowhere'), 404, 'E_NOT_FOUND')
    await expectError(await ask(API.status, { method: 'DELETE' }), 404, 'E_NOT_FOUND')
  })

  test('a body that says it is too big, and one that turns out to be', async () => {
    const said = raw('PUT', API.blob(digestOf('x')), { 'content-length': String(LIMITS.API_BODY_MAX_BYTES + 1) })
    said.on('error', () => undefined)
    said.flushHeaders()
    const [refused] = (await once(said, 'response')) as [IncomingMessage]
    expect(refused.statusCode).toBe(413)
    said.destroy()

    const chunk = new Uint8Array(1024 * 1024)
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        if (sent > LIMITS.API_BODY_MAX_BYTES) return controller.close()
        sent += chunk.length
        controller.enqueue(chunk)
      },
    })
    const init = { method: 'PUT', body, duplex: 'half' } as RequestInit
    await expectError(await ask(API.blob(digestOf('x')), init), 413, 'E_REQUEST_TOO_BIG')
    expect(services.blobs.size).toBe(0)
  })

  test('a body that is not JSON or not of the schema', async () => {
    await expectError(await ask(API.jobs, { method: 'POST', body: '{"name"' }), 400, 'E_REQUEST')
    const body = JSON.stringify({ ...jobRequest(), surprise: 1 })
    const { error } = await expectError(await ask(API.jobs, { method: 'POST', body }), 422, 'E_JOB_INVALID')
    expect(error.message).toContain('surprise')
    const tokenBody = JSON.stringify({ uses: 0 })
    await expectError(await ask(API.tokens, { method: 'POST', body: tokenBody }), 422, 'E_USAGE')
  })

  test('a query or digest that is none', async () => {
    await expectError(await ask(`${API.jobResults(JOB_ID)}?order=random`), 400, 'E_REQUEST')
    await expectError(await ask(API.unitLogs(JOB_ID, -1)), 400, 'E_REQUEST')
    await expectError(await ask(API.blob('short'), { method: 'PUT', body: 'x' }), 400, 'E_REQUEST')
  })

  test('bytes that are not HTTP', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.end('\0\0\0\0 rubbish\r\n\r\n')
    let answer = ''
    for await (const chunk of socket) answer += chunk
    expect(answer).toMatch(/^HTTP\/1.1 400/)
  })

  test('and what a service throws is told by its code, without the inside of the node', async () => {
    await expectError(await ask(API.job('zzz')), 404, 'E_NOT_FOUND')
    await expectError(await ask(API.jobEvents('zzz')), 404, 'E_NOT_FOUND')
    services.status = () => {
      throw new Error('secret path /root/.ssh')
    }
    const body = await expectError(await ask(API.status), 500, 'E_INTERNAL')
    expect(JSON.stringify(body)).not.toContain('secret')
  })

  test('a job nobody can run, with what each clause excludes, unless it may wait', async () => {
    services.unplaceable = true
    const init = { method: 'POST', body: JSON.stringify(jobRequest()) }
    const { clauses } = await expectError(await ask(API.jobs, init), 409, 'E_JOB_UNPLACEABLE')
    expect(clauses).toEqual([{ clause: 'peer.memory > 10 TiB', excludes: 2, remaining: 0 }])
    expect((await ask(`${API.jobs}?queue=true`, init)).status).toBe(200)
    expect(services.submitted[0]?.[1]).toEqual({ queue: true })
  })
})

describe('its answers fit their schemas', () => {
  const cases: [string, z.ZodType, () => Promise<Response>][] = [
    ['status', statusSchema, () => ask(API.status)],
    ['peers', peersSchema, () => ask(API.peers)],
    ['peer', peerInfoSchema, () => ask(API.peer('calm-heron'))],
    ['tokens', tokensSchema, () => ask(API.tokens)],
    ['token created', tokenCreatedSchema, () => ask(API.tokens, { method: 'POST', body: '{"uses":3}' })],
    ['token revoked', revokedSchema, () => ask(`${API.token('tok1')}?members=true`, { method: 'DELETE' })],
    ['blob', blobStoredSchema, () => ask(API.blob(digestOf('bytes')), { method: 'PUT', body: 'bytes' })],
    ['submit', jobInfoSchema, () => ask(API.jobs, { method: 'POST', body: JSON.stringify(jobRequest()) })],
    ['jobs', jobsSchema, () => ask(API.jobs)],
    ['job', jobInfoSchema, () => ask(API.job(JOB_ID.slice(0, 6)))],
    ['cancel', jobInfoSchema, () => ask(API.job(JOB_ID), { method: 'DELETE' })],
    ['down', stoppingSchema, () => ask(API.down, { method: 'POST' })],
  ]
  test.each(cases)('%s', async (_name, schema, send) => {
    const response = await send()
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    schema.parse(await response.json())
  })

  test('down stops the node after it has answered', async () => {
    await (await ask(API.down, { method: 'POST' })).json()
    await services.stops.promise
  })
})

describe('results', () => {
  test('are lines of JSON', async () => {
    const response = await ask(`${API.jobResults(JOB_ID)}?order=input&after=7`)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const rows = (await response.text()).trimEnd().split('\n')
    expect(rows.map((row) => resultRowSchema.parse(JSON.parse(row)))).toEqual(services.rows)
    expect(services.queries).toEqual([{ follow: false, failed: false, order: 'input', after: 7 }])
  })

  test('come one by one as they are decided, and none is lost or doubled', async () => {
    const gates = Array.from({ length: 50 }, () => Promise.withResolvers<void>())
    services.resultsSource = async function* () {
      for (const [unit, gate] of gates.entries()) {
        await gate.promise
        yield [accepted(unit)]
      }
    }
    const lines = linesOf(await ask(API.jobResults(JOB_ID)))
    for (const [unit, gate] of gates.entries()) {
      gate.resolve()
      const { value } = await lines.next()
      expect(JSON.parse(value ?? '').unit).toBe(unit)
    }
    expect((await lines.next()).done).toBe(true)
  })

  test('wait for a reader who does not read', async () => {
    let made = 0
    const stalled = Promise.withResolvers<void>()
    let lastMade = performance.now()
    const big = 'x'.repeat(16_000)
    services.resultsSource = async function* (signal) {
      const timer = setInterval(() => {
        if (performance.now() - lastMade > 300) stalled.resolve()
      }, 20)
      signal.addEventListener('abort', () => clearInterval(timer))
      while (!signal.aborted && made < 20_000) {
        made += 1
        lastMade = performance.now()
        yield [{ ...accepted(made), value: big } as ResultRow]
      }
    }
    const request = raw('GET', API.jobResults(JOB_ID))
    request.on('error', () => undefined)
    const [response] = (await once(request.end(), 'response')) as [IncomingMessage]
    response.pause()
    await stalled.promise
    // Far from the 320 MB there are to send: only what the two socket buffers take.
    expect(made).toBeLessThan(4_000)
    response.on('error', () => undefined)
    request.destroy()
  })

  test('stop being read when the reader goes away', async () => {
    const aborted = Promise.withResolvers<void>()
    services.resultsSource = async function* (signal) {
      signal.addEventListener('abort', () => aborted.resolve())
      yield [accepted(0)]
      await aborted.promise
    }
    const leaving = new AbortController()
    const lines = linesOf(await ask(API.jobResults(JOB_ID), { signal: leaving.signal }))
    await lines.next()
    leaving.abort()
    await aborted.promise
  })

  test('that break off are not taken for whole', async () => {
    services.resultsSource = async function* () {
      yield [accepted(0)]
      throw new Error('disk on fire')
    }
    await expect(ask(API.jobResults(JOB_ID)).then((response) => response.text())).rejects.toThrow()
  })

  test('end in good order when the node stops, even if their source does not', async () => {
    const never = Promise.withResolvers<void>()
    services.resultsSource = async function* () {
      yield [accepted(0)]
      await never.promise
    }
    const lines = linesOf(await ask(`${API.jobResults(JOB_ID)}?follow=true`))
    await lines.next()
    await server.stop()
    expect((await lines.next()).done).toBe(true)
  })
})

test('events of a job end with its last state', async () => {
  const response = await ask(API.jobEvents(JOB_ID))
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const events = (await response.text()).split('\n\n').filter((event) => event !== '')
  const states = events.map((event) => jobSummarySchema.parse(JSON.parse(event.replace(/^data: /, ''))).state)
  expect(states).toEqual(['running', 'done'])
})

test('a stream of events with nothing to tell shows that it lives', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const options = { stopping: new AbortController().signal, onError: () => undefined }
    const reader = eventStream(() => silence(), options).getReader()
    const first = reader.read()
    vi.advanceTimersByTime(LIMITS.API_KEEPALIVE_MS)
    expect(new TextDecoder().decode((await first).value)).toBe(': alive\n\n')
    await reader.cancel()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

async function* silence(): AsyncGenerator<never> {
  await new Promise(() => undefined)
}

function raw(method: string, path: string, extra: Record<string, string> = {}): ClientRequest {
  return httpRequest(new URL(path, url), { method, headers: { ...headers(), ...extra } })
}

async function* linesOf(response: Response): AsyncGenerator<string, void> {
  let held = ''
  for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const lines = (held + text).split('\n')
    held = lines.pop() ?? ''
    yield* lines
  }
}
