/** One unit's program, from spawn to death: what it wrote, how it ended, and never longer or larger than it may be. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { Readable } from 'node:stream'
import { LIMITS } from '../../../protocol/limits.ts'
import type { OutputStream } from '../../../protocol/tail.ts'
import type { User } from '../scratch.ts'
import { type Checkpointing, CheckpointWatch } from './checkpoint-watch.ts'
import { treeOf, usageOfTree } from './process-tree.ts'

export type UnitProcessInit = {
  line: readonly string[]
  /** Files opened for reading and handed over as descriptors from 3 on. */
  handed: readonly string[]
  /** Descriptors that lead nowhere. */
  shut: readonly number[]
  user: User | undefined
  stdin: string | null
  timeoutMs: number
  memoryMiB: number
  /** Namespaces of processes, from this node's, in which the unit is: what is above them runs it and is not counted. 0: none. */
  depth?: number
  onOutput?: ((stream: OutputStream, bytes: Uint8Array) => void) | undefined
  /** Absent: it saves nothing. */
  checkpointing?: Checkpointing | undefined
  /** Reads a pipe of its own, the descriptor after those handed over; the unit is ended when that fails. */
  collect?: ((pipe: AsyncIterable<Uint8Array>) => Promise<void>) | undefined
}

/** `killed`: what it was ended for; null: it ended by itself. */
export type UnitEnd = {
  killed: 'aborted' | 'timeout' | 'memory' | 'output' | 'files' | null
  code: number | null
  signal: NodeJS.Signals | null
  stdout: Buffer
  /** The last of it. */
  stderr: string
  /** Set when it could not be started. */
  refused: string | undefined
  /** Why its files could not be collected. */
  uncollected: unknown
  wallMs: number
  /** As last seen, and the most that was seen; null: it ended before it was looked at. */
  cpuMs: number | null
  peakMiB: number | null
  readBytes: number | null
  writtenBytes: number | null
  /** By the clock of this machine. */
  began: Date
}

const STDERR_KEPT_BYTES = LIMITS.UNIT_LOG_MAX_CHARS

export async function runUnitProcess(init: UnitProcessInit, signal: AbortSignal): Promise<UnitEnd> {
  const began = performance.now()
  const child = start(init)
  const end: UnitEnd = {
    killed: null,
    code: null,
    signal: null,
    stdout: Buffer.alloc(0),
    stderr: '',
    refused: undefined,
    uncollected: undefined,
    wallMs: 0,
    cpuMs: null,
    peakMiB: null,
    readBytes: null,
    writtenBytes: null,
    began: new Date(),
  }
  const kill = (why: UnitEnd['killed']): void => {
    end.killed ??= why
    killAll(child.pid)
  }
  const out: Buffer[] = []
  let outBytes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    outBytes += chunk.length
    init.onOutput?.('stdout', chunk)
    if (outBytes > LIMITS.UNIT_RESULT_MAX_BYTES) kill('output')
    else out.push(chunk)
  })
  let errors: Buffer = Buffer.alloc(0)
  let errorBytes = 0
  child.stderr?.on('data', (chunk: Buffer) => {
    errorBytes += chunk.length
    init.onOutput?.('stderr', chunk)
    if (errorBytes > LIMITS.COMMAND_STDERR_MAX_BYTES) kill('output')
    errors = Buffer.concat([errors, chunk]).subarray(-STDERR_KEPT_BYTES)
  })
  const pipe = init.collect === undefined ? null : child.stdio.at(3 + init.handed.length)
  const collected = pipe instanceof Readable ? collectFrom(pipe, init, end, () => kill('files')) : undefined
  // A program need not read what it is given.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(init.stdin ?? '')

  const watch = init.checkpointing && new CheckpointWatch(init.checkpointing)
  const abort = (): void => {
    watch?.look(child.pid)
    kill('aborted')
  }
  const timer = setTimeout(() => kill('timeout'), init.timeoutMs)
  const look = setInterval(() => lookAt(child, init, end, () => kill('memory')), LIMITS.COMMAND_MEMORY_LOOK_MS)
  const watching = watch && setInterval(() => watch.look(child.pid), LIMITS.COMMAND_CHECKPOINT_LOOK_MS)
  signal.addEventListener('abort', abort)
  if (signal.aborted) abort()
  try {
    await new Promise<void>((resolve) => {
      child.once('error', (error) => {
        end.refused = error.message
        resolve()
      })
      child.once('close', (code, by) => {
        end.code = code
        end.signal = by
        resolve()
      })
    })
    await collected
  } finally {
    clearTimeout(timer)
    clearInterval(look)
    clearInterval(watching)
    signal.removeEventListener('abort', abort)
  }
  return { ...end, wallMs: performance.now() - began, stdout: Buffer.concat(out), stderr: errors.toString('utf8') }
}

function lookAt(
  child: ChildProcess,
  { depth, memoryMiB: most }: UnitProcessInit,
  end: UnitEnd,
  onOver: () => void,
): void {
  const { memoryMiB, cpuMs, readBytes, writtenBytes } = usageOfTree(child.pid, depth)
  if (memoryMiB > most) onOver()
  if (memoryMiB === 0) return
  end.peakMiB = Math.max(end.peakMiB ?? 0, memoryMiB)
  end.cpuMs = Math.max(end.cpuMs ?? 0, cpuMs)
  end.readBytes = Math.max(end.readBytes ?? 0, readBytes)
  end.writtenBytes = Math.max(end.writtenBytes ?? 0, writtenBytes)
}

/** Never rejects. */
async function collectFrom(
  pipe: Readable,
  { collect }: UnitProcessInit,
  end: Pick<UnitEnd, 'uncollected'>,
  onFailed: () => void,
): Promise<void> {
  try {
    await collect?.(pipe)
  } catch (error) {
    end.uncollected = error
    onFailed()
    // What is left unread would keep the process from being over.
    pipe.destroy()
  }
}

/** As the leader of a process group of its own. */
function start({ line: [file = '', ...args], handed, shut, user, stdin, collect }: UnitProcessInit) {
  const files = handed.map((path) => openSync(path, 'r'))
  const nowhere = openSync(devNull, 'r')
  const slots: ('pipe' | 'ignore' | number)[] = [stdin === null ? 'ignore' : 'pipe', 'pipe', 'pipe', ...files]
  if (collect !== undefined) slots.push('pipe')
  // To Node, `ignore` is to leave a descriptor beyond the standard ones as it is.
  const last = Math.max(slots.length - 1, ...shut)
  for (let fd = slots.length; fd <= last; fd++) slots.push(shut.includes(fd) ? nowhere : 'ignore')
  try {
    return spawn(file, args, { cwd: '/', env: {}, stdio: slots, detached: true, ...(user ?? {}) })
  } finally {
    for (const fd of [...files, nowhere]) closeSync(fd)
  }
}

/**
 * While bubblewrap sets up, its second process does not yet die with its first, and may have left its group: it is found
 * while the first is held still, and killed before it.
 */
function killAll(pid: number | undefined): void {
  if (pid === undefined) return
  signal(-pid, 'SIGSTOP')
  for (const below of treeOf(pid).slice(1)) signal(below, 'SIGKILL')
  signal(-pid, 'SIGKILL')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
