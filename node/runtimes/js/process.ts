/** One sandbox process, from spawn to death: frames in and out, nothing of what they mean. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { constants, devNull } from 'node:os'
import { LIMITS } from '../../../protocol/limits.ts'
import { SIGNAL_EXIT_BASE } from '../exit-codes.ts'
import { commandOf, type LaunchPlan } from './launch.ts'
import type { Progress } from './progress.ts'

/** How a process ended. `signal` is also set when bwrap reports the death of the process inside. */
export type Death = { code: number | null; signal: number | null; brokeProtocol: string | undefined }

const HEADER_BYTES = 4
/** Frames received and not yet asked for, at which reading stops. */
const FRAMES_AHEAD_MAX = 4

/** Starts it as the leader of a process group of its own. */
export function spawnPlan(plan: LaunchPlan, stdio: ('pipe' | 'ignore' | number)[]): ChildProcess {
  const { file, args } = commandOf(plan)
  const handed = plan.handed.map((path) => openSync(path, 'r'))
  const nowhere = openSync(devNull, 'r')
  const slots = [...stdio, ...handed]
  // To Node, `ignore` is to leave a descriptor beyond the standard ones as it is.
  const last = Math.max(slots.length - 1, ...plan.shut)
  for (let fd = slots.length; fd <= last; fd++) slots.push(plan.shut.includes(fd) ? nowhere : 'ignore')
  try {
    return spawn(file, args, { cwd: plan.cwd, env: plan.env, stdio: slots, detached: true, ...(plan.user ?? {}) })
  } finally {
    for (const fd of [...handed, nowhere]) closeSync(fd)
  }
}

export class SandboxProcess {
  readonly died: Promise<Death>
  readonly #child: ChildProcess
  readonly #received: unknown[] = []
  #buffer: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #death: Death | undefined
  #brokeProtocol: string | undefined
  #killed = false

  constructor(plan: LaunchPlan, progress: Progress) {
    this.#child = spawnPlan(plan, ['pipe', 'pipe', progress.fd])
    this.died = new Promise((resolve) => {
      const settle = (death: Death): void => {
        this.#death ??= death
        resolve(this.#death)
        this.#wake?.()
      }
      this.#child.once('error', (error) =>
        settle({ code: null, signal: null, brokeProtocol: `does not start: ${error.message}` }),
      )
      this.#child.once('close', (code, signal) =>
        settle({ ...exitOf(code, signal), brokeProtocol: this.#brokeProtocol }),
      )
    })
    this.#child.stdin?.on('error', () => this.kill())
    this.#child.stdout?.on('error', () => this.kill())
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#take(chunk))
  }

  get alive(): boolean {
    return this.#death === undefined && !this.#killed
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  send(frame: unknown): void {
    const body = JSON.stringify(frame)
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + Buffer.byteLength(body))
    bytes.writeUInt32BE(bytes.length - HEADER_BYTES)
    bytes.write(body, HEADER_BYTES)
    this.#child.stdin?.write(bytes)
  }

  /** The next frame, or how the process ended. One call at a time. */
  async receive(): Promise<{ frame: unknown } | { death: Death }> {
    for (;;) {
      if (this.#received.length > 0) {
        if (this.#received.length <= FRAMES_AHEAD_MAX) this.#child.stdout?.resume()
        return { frame: this.#received.shift() }
      }
      if (this.#death !== undefined) return { death: this.#death }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Ends it at once. Idempotent. */
  kill(brokeProtocol?: string): void {
    this.#brokeProtocol ??= brokeProtocol
    this.#killed = true
    // Nothing it has said after that counts.
    if (brokeProtocol !== undefined) this.#received.length = 0
    this.#killGroup()
    // Its death is told only once its output has been read to the end.
    this.#child.stdout?.resume()
  }

  /** While bubblewrap sets up, its second process does not yet die with its first, and would wait for it for ever. */
  #killGroup(): void {
    const { pid } = this.#child
    if (pid === undefined || this.#death !== undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // No such group: it has ended, or this system has none.
      this.#child.kill('SIGKILL')
    }
  }

  #take(chunk: Buffer): void {
    if (this.#killed) return
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    const violation = this.#takeFrames()
    if (violation !== undefined) this.kill(violation)
    else if (this.#received.length > FRAMES_AHEAD_MAX) this.#child.stdout?.pause()
    this.#wake?.()
  }

  /** The length is checked before anything is kept for it. Returns what is wrong, if something is. */
  #takeFrames(): string | undefined {
    while (this.#buffer.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#buffer.readUInt32BE(0)
      if (end > LIMITS.SANDBOX_REPLY_MAX_BYTES) return `a frame of ${end} bytes`
      if (this.#buffer.length < end) return undefined
      const frame = parse(this.#buffer.toString('utf8', HEADER_BYTES, end))
      if (frame === undefined) return 'a frame that is not JSON'
      this.#received.push(frame)
      this.#buffer = this.#buffer.subarray(end)
    }
    return undefined
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): { code: number | null; signal: number | null } {
  if (signal !== null) return { code: null, signal: constants.signals[signal] }
  if (code !== null && code > SIGNAL_EXIT_BASE) return { code: null, signal: code - SIGNAL_EXIT_BASE }
  return { code, signal: null }
}
