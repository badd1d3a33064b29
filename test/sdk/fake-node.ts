/**
 * The local API without a mesh behind it: units run in this process, one by one. Its address file, its answers and
 * its refusals are those of protocol/api.ts. `cutAfter` breaks result streams; `restart` changes address and token.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import {
  type AddressFile,
  errorBody,
  type JobInfo,
  jobInfoSchema,
  jobQuerySchema,
  jobRequestSchema,
  type ResultRow,
  resultsQuerySchema,
  type Status,
} from '../../protocol/api.ts'
import { canonicalJson, digestOf, type Json } from '../../protocol/canonical.ts'
import { type ErrorCode, isErrorCode, TalkootError } from '../../protocol/errors.ts'
import type { Retry } from '../../protocol/manifest.ts'
import { runsOf } from '../../protocol/sweep/chosen.ts'
import { type CompiledSweep, compileUnits } from '../../protocol/sweep/generator.ts'

type FakeJob = { info: JobInfo; compiled: CompiledSweep; rows: ResultRow[]; changed: Set<() => void> }
type Run = (params: unknown, context: object) => unknown

export class FakeNode {
  readonly home = mkdtempSync(join(tmpdir(), 'talkoot-sdk-'))
  readonly jobs = new Map<string, FakeJob>()
  readonly blobs = new Map<string, Uint8Array>()
  readonly requests: string[] = []
  /** Rows after which a results stream is cut, each used once. */
  cutAfter: number[] = []
  /** The same, but they end as if they were whole. */
  endAfter: number[] = []
  /** Units wait for `release`. */
  held = false
  /** Result streams say nothing more after their rows, and do not end. */
  stalled = false
  /** Result streams send one line without an end. */
  flood = 0
  openStreams = 0
  #server: Server | undefined
  #token = ''
  #starts = 0

  async start(): Promise<void> {
    this.#starts += 1
    this.#token = `secret-${this.#starts}`
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        const status = error instanceof TalkootError && error.code === 'E_JOB_UNPLACEABLE' ? 409 : 400
        const clauses = status === 409 ? [{ clause: 'peer.cpus > 99', excludes: 2, remaining: 0 }] : undefined
        if (response.headersSent) return response.destroy()
        json(response, errorBody(TalkootError.from(error), clauses), status)
      })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const file: AddressFile = {
      schema: 'talkoot.api/1',
      url: `http://127.0.0.1:${port}`,
      token: this.#token,
      pid: process.pid,
    }
    mkdirSync(this.home, { recursive: true })
    writeFileSync(join(this.home, 'api.json'), JSON.stringify(file))
  }

  async stop(): Promise<void> {
    const server = this.#server
    server?.closeAllConnections()
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
    rmSync(this.home, { recursive: true, force: true })
  }

  /** As a crash and a new start: streams break, address and token are new, jobs are still there. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  release(): void {
    this.held = false
    for (const job of this.jobs.values()) this.#run(job)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://node')
    const [, , kind = '', id = '', part = ''] = url.pathname.split('/')
    this.requests.push(`${request.method} ${url.pathname}`)
    if (request.headers.authorization !== `Bearer ${this.#token}`) throw new TalkootError('E_UNAUTHORIZED', 'no token')
    const query = Object.fromEntries(url.searchParams)
    if (kind === 'status') return json(response, STATUS)
    if (kind === 'blobs') return json(response, this.#store(id, await body(request)))
    if (kind !== 'jobs') throw new TalkootError('E_NOT_FOUND', url.pathname)
    if (id === '' && request.method === 'GET') {
      return json(response, { schema: 'talkoot.jobs/1', jobs: [...this.jobs.values()].map(({ info }) => info) })
    }
    if (id === '') return json(response, this.#submit(JSON.parse(String(await body(request))), query, null))
    const job = [...this.jobs.values()].find(({ info }) => info.id.startsWith(id))
    if (job === undefined) throw new TalkootError('E_NOT_FOUND', `no job ${id}`)
    if (request.method === 'DELETE') this.#settle(job, 'cancelled')
    if (part === 'retry') return json(response, this.#retry(job, JSON.parse(String(await body(request)))))
    if (part === 'results') return this.#results(job, query, response)
    if (part === 'events') return this.#events(job, response)
    json(response, job.info)
  }

  #store(digest: string, bytes: Uint8Array): object {
    if (digestOf(bytes) !== digest) throw new TalkootError('E_BLOB', 'the bytes do not match their digest')
    this.blobs.set(digest, bytes)
    return { schema: 'talkoot.blob/1', digest, bytes: bytes.length }
  }

  #retry({ info, rows }: FakeJob, request: { task?: JobInfo['task'] }): JobInfo {
    const units = runsOf(rows.flatMap(({ unit, status }) => (status === 'failed' ? [unit] : [])).sort((a, b) => a - b))
    if (units.length === 0) throw new TalkootError('E_JOB_INVALID', 'nothing has failed')
    const { sweep, task, policy } = info
    return this.#submit({ task, policy, ...request, sweep }, {}, { job: info.id, units })
  }

  #submit(request: unknown, query: unknown, retryOf: Retry | null): JobInfo {
    const { queue } = jobQuerySchema.parse(query)
    const { name, task, sweep, policy } = jobRequestSchema.parse(request)
    if (policy.require !== '' && !queue) throw new TalkootError('E_JOB_UNPLACEABLE', 'no peer can run it')
    const compiled = compileUnits({ sweep, retryOf }, (digest) => this.#blob(digest))
    const id = digestOf(`job ${this.jobs.size}`)
    const info = jobInfoSchema.parse({
      schema: 'talkoot.job/1',
      ...{ id, name, task, sweep, policy, state: 'running', createdAgoMs: 0, units: compiled.count },
      ...{ heldForMs: null, stopped: null, after: [], retryOf: retryOf?.job ?? null },
      ...{
        accepted: 0,
        failed: 0,
        running: 0,
        executions: 0,
        wasted: 0,
        disagreements: 0,
        expectedWrong: null,
        waiting: [],
        peers: [],
      },
    })
    const job: FakeJob = { info, compiled, rows: [], changed: new Set() }
    this.jobs.set(id, job)
    this.#run(job)
    return { ...job.info, state: 'running' }
  }

  #run(job: FakeJob): void {
    if (this.held || job.info.state !== 'running') return
    const run = runOf(new TextDecoder().decode(this.#blob(job.info.task.digest)))
    // Decided last to first: completion order is not input order.
    for (let unit = job.compiled.size - 1; unit >= 0; unit -= 1) {
      if (job.compiled.next(unit - 1) !== unit) continue
      const params = JSON.parse(canonicalJson(job.compiled.point(unit)))
      const base = { unit, seq: job.rows.length + 1, params, peers: ['peer-a'], attempts: 1 }
      try {
        const value = run(params, { unit, seed: 0, random: Math.random, log: () => undefined })
        job.rows.push({ ...base, status: 'accepted', value: JSON.parse(canonicalJson(value as Json)) })
        job.info.accepted += 1
      } catch (error) {
        const { code, message } = failure(error)
        job.rows.push({ ...base, status: 'failed', error: { code, message }, blame: 'program' })
        job.info.failed += 1
      }
    }
    this.#settle(job, 'done')
  }

  #settle(job: FakeJob, state: 'done' | 'cancelled'): void {
    if (job.info.state === 'running') job.info.state = state
    for (const notify of job.changed) notify()
  }

  async #results(job: FakeJob, search: unknown, response: ServerResponse): Promise<void> {
    const { follow, order, after = -1, failed } = resultsQuerySchema.parse(search)
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders()
    this.openStreams += 1
    response.on('close', () => {
      this.openStreams -= 1
    })
    if (this.flood > 0) response.write('x'.repeat(this.flood))
    if (follow) await settled(job, response)
    const cursor = (row: ResultRow): number => (order === 'input' ? row.unit : row.seq)
    const rows = job.rows
      .filter((row) => cursor(row) > after && (!failed || row.status === 'failed'))
      .sort((a, b) => cursor(a) - cursor(b))
    const cut = this.cutAfter.shift()
    const rest = cut ?? this.endAfter.shift()
    response.write(
      rows
        .slice(0, rest)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(''),
    )
    if (this.stalled) return
    if (cut === undefined) response.end()
    else setImmediate(() => response.destroy())
  }

  async #events(job: FakeJob, response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const write = (): void => void response.write(`event: progress\ndata: ${JSON.stringify(job.info)}\n\n`)
    write()
    if (job.info.state === 'running') {
      await settled(job, response)
      write()
    }
    response.end()
  }

  #blob(digest: string): Uint8Array {
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) throw new TalkootError('E_JOB_INVALID', `no blob ${digest}`)
    return bytes
  }
}

const settled = (job: FakeJob, response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (job.info.state !== 'running') return resolve()
    job.changed.add(resolve)
    response.on('close', resolve)
  })

function runOf(source: string): Run {
  const module: { exports: { default?: unknown } } = { exports: {} }
  compileFunction(source, ['module', 'exports', 'require'])(module, module.exports, undefined)
  const task = module.exports.default
  return typeof task === 'function' ? (task as Run) : (task as { run: Run }).run
}

function failure(error: unknown): { code: ErrorCode; message: string } {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return { code: typeof code === 'string' && isErrorCode(code) ? code : 'E_TASK_THREW', message: String(message) }
}

async function body(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function json(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

const STATUS: Status = {
  schema: 'talkoot.status/1',
  ...{ version: '0', peer: 'peer-a', name: 'fake', pid: 1, uptimeMs: 0, listen: [], url: 'http://127.0.0.1', peers: 0 },
  mesh: { id: 'mesh', fingerprint: '0000-0000', kind: 'private', role: 'admin', invitation: null },
  offering: { cpus: 1, memory: 0, disk: 0, slots: 1, slotsUsed: 0 },
  disk: { budget: 0, used: 0, images: 0, unitFiles: 0 },
  ...{ runtimes: [], confinement: null, warnings: [] },
  jobs: { running: 0, done: 0, cancelled: 0 },
  paused: null,
  working: { running: 0, queued: 0, total: 0, shares: [] },
}
