/** One unit's program, from its start to its death: what it wrote, how it ended, and never longer or larger than it may be. */

import { once } from 'node:events'
import { Readable } from 'node:stream'
import { LIMITS } from '../../../protocol/limits.ts'
import type { OutputStream } from '../../../protocol/tail.ts'
import { type Checkpointing, CheckpointWatch } from './checkpoint-watch.ts'
import { usageOfTree } from './process-tree.ts'
import { killAll, type StartInit, startProcess } from './started.ts'

/** What a unit may do, and who is told. */
export type UnitWatchInit = {
  timeoutMs: number
  memoryMiB: number
  /** Namespaces of processes, from this node's, in which the unit is: what is above them runs it and is not counted. 0: none. */
  depth?: number
  /** How many processes, each the child of the one before, run it and are not counted. 0: none. */
  above?: number
  onOutput?: ((stream: OutputStream, bytes: Uint8Array) => void) | undefined
  /** Absent: it saves nothing. */
  checkpointing?: Checkpointing | undefined
  /** Reads a pipe of its own; the unit is ended when that fails. */
  collect?: ((pipe: AsyncIterable<Uint8Array>) => Promise<void>) | undefined
}

export type UnitProcessInit = UnitWatchInit & Omit<StartInit, 'fed' | 'piped'> & { stdin: string | null }

/** A unit that was started. */
export type BegunUnit = {
  /** Above all its processes. */
  pid: number | undefined
  kill(): void
  stdout: Readable
  stderr: Readable
  /** What is collected. */
  files: Readable | null
  /** When nothing of it runs any more, and all it wrote was read. Never rejects. */
  over: Promise<Pick<UnitEnd, 'code' | 'signal' | 'refused'>>
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

/** A unit with a process of its own, right below this node. */
export function runUnitProcess(init: UnitProcessInit, signal: AbortSignal): Promise<UnitEnd> {
  const { stdin, handed, collect } = init
  const child = startProcess({ ...init, fed: stdin !== null, piped: collect !== undefined })
  // A program need not read what it is given.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(stdin ?? '')
  const over = once(child, 'close').then(
    ([code, by]) => ({ code, signal: by, refused: undefined }),
    (error: Error) => ({ code: null, signal: null, refused: error.message }),
  )
  const { pid, stdout, stderr, stdio } = child
  const files = stdio.at(3 + handed.length)
  const none = Readable.from([])
  const kill = (): void => killAll(pid)
  const begun = { pid, kill, stdout: stdout ?? none, stderr: stderr ?? none, over }
  return watchUnit({ ...begun, files: files instanceof Readable ? files : null }, init, signal)
}

export async function watchUnit(unit: BegunUnit, init: UnitWatchInit, signal: AbortSignal): Promise<UnitEnd> {
  const began = performance.now()
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
    unit.kill()
  }
  const out: Buffer[] = []
  let outBytes = 0
  unit.stdout.on('data', (chunk: Buffer) => {
    outBytes += chunk.length
    init.onOutput?.('stdout', chunk)
    if (outBytes > LIMITS.UNIT_RESULT_MAX_BYTES) kill('output')
    else out.push(chunk)
  })
  let errors: Buffer = Buffer.alloc(0)
  let errorBytes = 0
  unit.stderr.on('data', (chunk: Buffer) => {
    errorBytes += chunk.length
    init.onOutput?.('stderr', chunk)
    if (errorBytes > LIMITS.COMMAND_STDERR_MAX_BYTES) kill('output')
    errors = Buffer.concat([errors, chunk]).subarray(-STDERR_KEPT_BYTES)
  })
  const collected = unit.files === null ? undefined : collectFrom(unit.files, init, end, () => kill('files'))

  const watch = init.checkpointing && new CheckpointWatch(init.checkpointing)
  const abort = (): void => {
    watch?.look(unit.pid)
    kill('aborted')
  }
  const timer = setTimeout(() => kill('timeout'), init.timeoutMs)
  const look = setInterval(() => lookAt(unit.pid, init, end, () => kill('memory')), LIMITS.COMMAND_MEMORY_LOOK_MS)
  const watching = watch && setInterval(() => watch.look(unit.pid), LIMITS.COMMAND_CHECKPOINT_LOOK_MS)
  signal.addEventListener('abort', abort)
  if (signal.aborted) abort()
  try {
    Object.assign(end, await unit.over)
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
  pid: number | undefined,
  { depth, above, memoryMiB: most }: UnitWatchInit,
  end: UnitEnd,
  onOver: () => void,
): void {
  const { memoryMiB, cpuMs, readBytes, writtenBytes } = usageOfTree(pid, { depth, above })
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
  { collect }: UnitWatchInit,
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
