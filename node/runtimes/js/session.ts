/** A conversation with one sandbox process: its greeting, then frames of calls, each under the deadline of its calls. */

import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { type ErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { RUNTIME_KINDS } from '../../../protocol/runtime-kinds.ts'
import type { SandboxInit } from '../runtime.ts'
import {
  type Call,
  type End,
  type Given,
  type InitFrame,
  PART_BYTES,
  type RunFrame,
  type SandboxedKind,
} from './frames.ts'
import type { LaunchPlan } from './launch.ts'
import { type Death, SandboxProcess } from './process.ts'
import { Progress } from './progress.ts'
import { readySchema, replySchema } from './replies.ts'

/** What ended the process, and the index of the call that ran then. */
export type Fatal = { index: number; code: ErrorCode; message: string }

/** What the next of the calls to end has left: it is read before anything else is asked for, and ends early with the process. */
export type LeftFiles = { archive: AsyncGenerator<Uint8Array> }

export type SessionInit = Pick<SandboxInit, 'source' | 'seed' | 'memoryMiB' | 'timeoutMs' | 'onCheckpoint'> & {
  kind: SandboxedKind
  plan: LaunchPlan
  folder: string
  /** @default nothing */
  given?: Given
}

const NOTHING: Given = { folder: '', files: [] }
const TOKEN_BYTES = 24
/** What V8 and Rust's allocator say when they give up. */
const OUT_OF_MEMORY = /out of memory|memory allocation of/i

export class Session {
  readonly process: SandboxProcess
  /** Set by the greeting. */
  denoVersion = ''
  readonly #progress: Progress
  readonly #init: SessionInit
  readonly #token = randomBytes(TOKEN_BYTES).toString('base64url')
  readonly #end: Promise<{ code: ErrorCode; message: string; callsEnded: number }>
  #frames = 0
  #timedOut = false

  constructor(init: SessionInit) {
    this.#init = init
    this.#progress = new Progress(init.folder, randomUUID())
    this.process = new SandboxProcess(init.plan, this.#progress)
    this.#end = this.process.died.then((death) => this.#explain(death))
  }

  /** Waits for the greeting. @throws E_RUNTIME_MISSING when the process does not get that far */
  async start(signal: AbortSignal): Promise<void> {
    const { kind, source, seed, memoryMiB, given = NOTHING } = this.#init
    this.process.send({ token: this.#token, kind, source, seed, memoryMiB, given } satisfies InitFrame)
    const received = await this.#receive(LIMITS.SANDBOX_START_TIMEOUT_MS, signal)
    const ready = readySchema.safeParse('frame' in received ? received.frame : undefined)
    if (ready.success && ready.data.token === this.#token) {
      this.denoVersion = ready.data.deno
      return
    }
    this.process.kill()
    signal.throwIfAborted()
    const { code, message } = await this.#end
    throw new TalkootError('E_RUNTIME_MISSING', `the sandbox does not start: ${code} ${message}`)
  }

  /** Yields the ends of the calls in order, in groups, and what each leaves before its end. Returns what killed the process, if something but the signal did. */
  async *exchange(calls: readonly Call[], signal: AbortSignal): AsyncGenerator<End[] | LeftFiles, Fatal | undefined> {
    const id = ++this.#frames
    this.#progress.reset()
    this.process.send({ id, calls } satisfies RunFrame)
    let ended = 0
    let due = this.#deadline()
    let hasLeft = false
    try {
      while (ended < calls.length) {
        const received = await this.#receive(Math.max(0, due - performance.now()), signal)
        if (signal.aborted) return undefined
        if ('death' in received) return await this.#fatalAt(ended, calls.length)
        const reply = this.#replyTo(id, received.frame)
        if (reply !== undefined && 'ends' in reply && ended + reply.ends.length <= calls.length) {
          ended += reply.ends.length
          hasLeft = false
          yield reply.ends
          due = this.#deadline()
        } else if (reply !== undefined && 'part' in reply && !hasLeft && this.#leavesFiles()) {
          hasLeft = true
          yield { archive: this.#archive(id, reply.part, signal) }
          due = this.#deadline()
        } else if (
          reply !== undefined &&
          'state' in reply &&
          calls.some((call) => 'unit' in call && call.unit === reply.unit)
        ) {
          this.#init.onCheckpoint?.(reply.unit, Buffer.from(reply.state))
        } else this.process.kill('a frame that is not of this exchange')
      }
      return undefined
    } finally {
      // Left midway: what the process does now is nobody's, and its frames would be taken for the next exchange's.
      if (ended < calls.length) this.process.kill()
    }
  }

  /** In the time that a unit has. */
  async *#archive(id: number, first: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let leftMs = this.#init.timeoutMs + LIMITS.SANDBOX_FLUSH_MS
    for (let part = first; part !== ''; ) {
      const bytes = Buffer.from(part, 'base64')
      yield bytes
      const from = performance.now()
      const received = await this.#receive(leftMs, signal)
      leftMs = Math.max(0, leftMs - (performance.now() - from))
      if ('death' in received) return
      const reply = this.#replyTo(id, received.frame)
      const isNext = reply !== undefined && 'part' in reply && (bytes.length === PART_BYTES || reply.part === '')
      if (isNext) part = reply.part
      else this.process.kill('a frame that is not of this exchange')
    }
  }

  /** Undefined: it is none to this frame. */
  #replyTo(id: number, frame: unknown): z.infer<typeof replySchema> | undefined {
    const { data } = replySchema.safeParse(frame)
    return data?.token === this.#token && data.id === id ? data : undefined
  }

  #leavesFiles(): boolean {
    const { kind, source } = this.#init
    return RUNTIME_KINDS[kind].leavesFiles(source)
  }

  /** Whether no call was ever made in this process. */
  get fresh(): boolean {
    return this.#frames === 0
  }

  get alive(): boolean {
    return this.process.alive
  }

  /** The user the process runs as, as the kernel of this machine sees it. */
  uid(): number {
    if (process.platform !== 'linux') return this.#init.plan.user?.uid ?? process.getuid?.() ?? -1
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8')
    return Number(/^Uid:\t(\d+)/m.exec(status)?.[1])
  }

  async close(): Promise<void> {
    this.process.kill()
    await this.#end
  }

  /** Of the next end: a unit that saves its state has no more time for it. */
  #deadline(): number {
    return performance.now() + this.#init.timeoutMs + LIMITS.SANDBOX_FLUSH_MS
  }

  async #receive(timeoutMs: number, signal: AbortSignal): Promise<{ frame: unknown } | { death: Death }> {
    const abort = (): void => this.process.kill()
    const timer = setTimeout(() => {
      this.#timedOut = true
      this.process.kill()
    }, timeoutMs)
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    try {
      return await this.process.receive()
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  async #fatalAt(ended: number, calls: number): Promise<Fatal> {
    const { callsEnded, ...failure } = await this.#end
    // A process can also die between its last call and the frame that tells so.
    return { index: Math.min(Math.max(ended, callsEnded), calls - 1), ...failure }
  }

  #explain(death: Death): { code: ErrorCode; message: string; callsEnded: number } {
    const { callsEnded, lastWords } = this.#progress.read()
    this.#progress.close()
    const said = lastWords.trim().slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
    if (this.#timedOut)
      return { code: 'E_TIMEOUT', message: `still running after ${this.#init.timeoutMs} ms`, callsEnded }
    if (death.brokeProtocol !== undefined) return { code: 'E_PROTOCOL', message: death.brokeProtocol, callsEnded }
    if (death.signal !== null && OUT_OF_MEMORY.test(lastWords)) {
      return { code: 'E_MEMORY', message: 'the memory limit was reached', callsEnded }
    }
    const how = death.signal === null ? `exit ${death.code}` : `signal ${death.signal}`
    return {
      code: 'E_UNIT_CRASHED',
      message: `the process ended by itself: ${how}\n${said}`.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS),
      callsEnded,
    }
  }
}
