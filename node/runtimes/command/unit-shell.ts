/**
 * The sandbox of one job on one slot, kept for unit after unit: a shell in it starts them one by one. Whatever ends a unit
 * early ends the sandbox; the next unit gets a new one.
 */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Inputs } from '../program/job-files.ts'
import type { UnitIo } from '../program/sandbox.ts'
import { killAll, type StartInit, startProcess } from '../program/started.ts'
import { type BegunUnit, type UnitEnd, watchUnit } from '../program/unit-process.ts'
import { GIVEN, PIPES, READY, shellScript, type UnitLine, unitLine } from './unit-script.ts'

export type UnitShellInit = Omit<StartInit, 'fed' | 'piped'> & {
  /** The folder of the pipes, which is in the sandbox too. */
  pipes: string
  /** What is in the folder of each unit; null: nothing. */
  inputs: Inputs | null
}

/** Bubblewrap and the shell. */
const ABOVE = 2
const STDERR_KEPT_CHARS = 1_024

export class UnitShell {
  readonly #init: UnitShellInit
  #shell: Shell | undefined

  constructor(init: UnitShellInit) {
    this.#init = init
  }

  /** Starts it before there are units for it. @throws E_RUNTIME_MISSING */
  async start(signal: AbortSignal): Promise<void> {
    await this.#ready(signal)
  }

  /** One at a time. @throws E_RUNTIME_MISSING */
  async run(argv: readonly string[], io: UnitIo, signal: AbortSignal, own: UnitLine['own'] = null): Promise<UnitEnd> {
    const state = io.checkpointing?.resumed
    await this.#give(GIVEN.stdin, io.stdin)
    await this.#give(GIVEN.state, state)
    const files = io.collect !== undefined
    const line = unitLine({ argv, own, files, stdin: io.stdin !== null, state: state !== undefined })
    const shell = await this.#ready(signal)
    return await watchUnit(this.#begin(shell, line, files), { ...io, above: ABOVE }, signal)
  }

  async close(): Promise<void> {
    this.#shell?.kill()
    await this.#shell?.ended
  }

  async #give(name: string, content: string | Uint8Array | null | undefined): Promise<void> {
    if (content !== null && content !== undefined) await writeFile(join(this.#init.pipes, name), content)
  }

  async #ready(signal: AbortSignal): Promise<Shell> {
    signal.throwIfAborted()
    const abort = (): void => this.#shell?.kill()
    signal.addEventListener('abort', abort)
    try {
      if (this.#shell !== undefined && (await this.#shell.isReady())) return this.#shell
      this.#shell?.kill()
      signal.throwIfAborted()
      const shell = new Shell(this.#init)
      this.#shell = shell
      if (await shell.isReady()) return shell
      signal.throwIfAborted()
      const { refused = shell.complaint.trim() } = await shell.ended
      throw new TalkootError('E_RUNTIME_MISSING', `the sandbox does not start: ${refused}`)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #begin(shell: Shell, line: string, withFiles: boolean): BegunUnit {
    const pipe = (name: string): Pipe => new Pipe(join(this.#init.pipes, name))
    const stdout = pipe(PIPES.stdout)
    const stderr = pipe(PIPES.stderr)
    const files = withFiles ? pipe(PIPES.files) : null
    const all = [stdout, stderr, ...(files === null ? [] : [files])]
    const over = shell.run(line).then(async (end) => {
      for (const one of all) one.finish()
      await Promise.all(all.map(({ closed }) => closed))
      return end
    })
    const { pid } = shell
    return {
      pid,
      kill: () => shell.kill(),
      stdout: stdout.reader,
      stderr: stderr.reader,
      files: files?.reader ?? null,
      over,
    }
  }
}

/** What is read of one unit from a pipe that has a name: it ends when the unit's last process has. */
class Pipe {
  readonly reader: Socket
  readonly closed: Promise<void>
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    // Else to open it would be to wait for whoever writes.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    this.reader = new Socket({ fd, readable: true, writable: false })
    this.closed = new Promise((resolve) => this.reader.once('close', () => resolve()))
    this.reader.on('error', () => undefined)
  }

  /** One that nobody opened to write to would never end. */
  finish(): void {
    if (!this.reader.destroyed) closeSync(openSync(this.#path, constants.O_WRONLY | constants.O_NONBLOCK))
  }
}

type Ended = Pick<UnitEnd, 'code' | 'signal' | 'refused'>

/** One sandbox, from its start to its end. */
class Shell {
  /** What it or bubblewrap wrote of itself. */
  complaint = ''
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  /** Whether it said in time that it is. */
  #ready: Promise<boolean>

  constructor(init: UnitShellInit) {
    const child = startProcess({ ...init, fed: true })
    this.#child = child
    this.#lines = linesOf(child.stdout ?? Readable.from([]))
    child.stderr?.on('data', (text: Buffer) => {
      this.complaint = `${this.complaint}${text}`.slice(-STDERR_KEPT_CHARS)
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.write(shellScript(init.inputs))
    this.ended = once(child, 'close').then(
      ([code, signal]) => ({ code, signal, refused: undefined }),
      (error: Error) => ({ code: null, signal: null, refused: error.message }),
    )
    this.#ready = this.#untilReady(LIMITS.SANDBOX_START_TIMEOUT_MS)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when nothing of the unit runs any more. */
  async run(line: string): Promise<Ended> {
    this.#child.stdin?.write(line)
    const code = await this.#next()
    if (code === null) return await this.ended
    this.#ready = this.#untilReady(LIMITS.COMMAND_REFRESH_MAX_MS)
    return { code: Number(code), signal: null, refused: undefined }
  }

  /** Whether it will start a unit, when that is known. */
  async isReady(): Promise<boolean> {
    return (await this.#ready) && this.#lives
  }

  kill(): void {
    if (this.#lives) killAll(this.pid)
  }

  get #lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  async #untilReady(withinMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.kill(), withinMs)
    const line = await this.#next()
    clearTimeout(timer)
    return line === READY
  }

  /** Null: it has ended. */
  async #next(): Promise<string | null> {
    // However its output ended.
    const { value, done } = await this.#lines.next().catch(() => ({ value: null, done: true }))
    return done === true ? null : value
  }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let begun = ''
  for await (const chunk of stream) {
    const lines = `${begun}${chunk}`.split('\n')
    begun = lines.pop() ?? ''
    yield* lines
  }
}
