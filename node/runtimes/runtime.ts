/** The one interface of every runtime. `test/runtimes` holds the compliance suite each implementation passes. */

import type { Digest } from '../../protocol/canonical.ts'
import type { TreeLayout } from '../../protocol/data/layout.ts'
import type { TreeRef } from '../../protocol/data/tree.ts'
import type { UnitReport as UnitReportOnWire } from '../../protocol/report.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import type { OutputStream } from '../../protocol/tail.ts'
import type { Attempt } from '../../protocol/work.ts'
import type { DiskBudget } from '../files/disk-budget.ts'

/** How strongly a runtime confines a unit. `os`: bubblewrap and the runtime's own; `runtime`: the runtime's own only. */
export type Confinement = 'os' | 'runtime'

/** What a runtime proved by running a unit at start; only this is advertised. */
export type RuntimeProbe = {
  kind: RuntimeKind
  version: string
  confinement: Confinement
  /** Whether a unit's value depends on its task, parameters, seed and index alone, to the bit, on every machine. */
  deterministic: boolean
  uid: number
  warning?: string
}

/** A tree of files, whole, as a folder of this machine; only to be read. */
export type LaidTree = { readonly folder: string; readonly layout: TreeLayout }

/** One job on one slot: everything a sandbox process needs to know before its first unit. */
export type SandboxInit = {
  /** Of the task, as its runtime reads it. */
  source: string
  /** Seeds random numbers together with each unit's index: the same on every peer. */
  seed: number
  /** Those its task names; they stay where they are until the sandbox is closed, or no job needs them. Absent: none. */
  trees?: ReadonlyMap<Digest, LaidTree>
  /** Cores a unit may use. */
  cpus: number
  memoryMiB: number
  timeoutMs: number
  /**
   * Keeps the files a unit wrote, as a tree; each must be read to its end before the next is asked for. Absent: files of
   * units are refused. @throws E_TREE, E_OUTPUT_MISSING, E_DISK_*, and what the files throw
   */
  keepFiles?: (unit: number, files: AsyncIterable<UnitFile>, signal: AbortSignal) => Promise<TreeRef>
  /** Told what a unit writes, as it comes. */
  onOutput?: (unit: number, stream: OutputStream, bytes: Uint8Array) => void
  /** Told what a unit saves of itself while it runs; the last is the one to go on from. */
  onCheckpoint?: (unit: number, state: Uint8Array) => void
  /** Told once for each unit that ended and left something to tell. */
  onReport?: (report: UnitReport) => void
}

/** Nothing of it has been checked. */
export type UnitFile = { path: string; bytes: number; executable: boolean; content: AsyncIterable<Uint8Array> }

/** What a unit left beside its value or failure. */
export type UnitReport = {
  unit: number
  /** How its process ended; null where units have no process of their own, or it never began. */
  exit: { code: number | null; signal: string | null } | null
  /** All of a program's standard output, as text; empty where units have none. */
  stdout: string
  /** The last of what it wrote to standard error or logged: `LIMITS.UNIT_LOG_MAX_CHARS` at most. */
  stderr: string
  /** From start to end, milliseconds; null: not measured. */
  wallMs: number | null
  /** What all its processes were seen to use, milliseconds and MiB at most; null: it was too short to be seen. */
  cpuMs: number | null
  peakMiB: number | null
  /** Absent where units have no process of their own. */
  process?: UnitReportOnWire['process']
}

/**
 * A unit to run: its index and its parameters as JSON text. `resumed`: what it saved of itself where it ran before, by the
 * word of whoever submitted it; where units save nothing it is not looked at.
 */
export type UnitInput = {
  unit: number
  params: string
  resumed?: Uint8Array
  /** The files of its point, which stay where they are until it has ended. Absent: it has none. */
  files?: LaidTree
}

export type RuntimeInit = {
  /** A private folder, made if need be. What is written there is removed by `stop()`. */
  scratchDir: string
  /** What is unpacked there, and stays for the next job, counts in it. @default as much as it takes */
  disk?: DiskBudget
}

export interface Runtime {
  /** Runs a unit to prove it works. @throws E_RUNTIME_MISSING, E_RUNTIME_VERSION, E_NATIVE_PLATFORM, E_ROOT */
  probe(signal: AbortSignal): Promise<RuntimeProbe>
  /** A fresh process for one job. It starts lazily and is restarted after any unit that killed it. */
  open(init: SandboxInit): Sandbox
  /** Ends every process of this runtime. Idempotent. */
  stop(): Promise<void>
}

export interface Sandbox {
  /** Starts the process before there are units for it. Not while anything else is called. @throws E_RUNTIME_MISSING */
  warm(signal: AbortSignal): Promise<void>
  /**
   * Runs units in order, one attempt for each, yielded in groups as they end. A unit that loops, crashes or breaks
   * the protocol yields its coded failure, and those after it run in a new process. Aborting kills the process and
   * ends the iteration without attempts for the units not yet ended. One call at a time.
   */
  run(units: readonly UnitInput[], signal: AbortSignal): AsyncIterable<Attempt[]>
  /** Asks the `agree` function of the task whether two values (JSON) are the same. @throws coded as a unit's failure */
  agree(a: string, b: string, signal: AbortSignal): Promise<boolean>
  /** Kills the process. Idempotent. */
  close(): Promise<void>
}
