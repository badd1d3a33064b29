/** Sandboxes between turns: kept warm for a while, within the memory of this machine's units. */

import { LIMITS } from '../../protocol/limits.ts'
import type { RuntimeKind } from '../../protocol/runtime-kinds.ts'
import type { Sandbox, SandboxInit, UnitReport } from '../runtimes/runtime.ts'
import type { Runtimes } from '../runtimes/runtimes.ts'
import { LiveOutput } from './live-output.ts'
import { Reports } from './reports.ts'
import { type FileKeeper, UnitFiles } from './unit-files.ts'

/** What a job needs to run, and the key under which another job of the same needs and submitter finds its sandbox. */
export type Needs = { key: string; runtime: RuntimeKind; init: SandboxInit }

/** `reports`, `files`, `live` and `saved`: of the units it runs. */
export type Opened = { sandbox: Sandbox; reports: Reports; files: UnitFiles; live: LiveOutput; saved: Saved }

/** Who is told what its units save of themselves. */
type Saved = { on: NonNullable<SandboxInit['onCheckpoint']> | null }

type Idle = { key: string; memoryMiB: number; opened: Opened; timer: NodeJS.Timeout; ready: Promise<void> }

type Components = {
  runtimes: Pick<Runtimes, 'open'>
  trees: FileKeeper
  /** Whether units that need it wait for a slot. */
  isWanted(key: string): boolean
  onError(error: unknown): void
}

export class WarmShelf {
  readonly #components: Components
  readonly #memoryMiB: number
  /** Longest idle first. */
  readonly #idle = new Set<Idle>()
  readonly #closing = new Set<Promise<void>>()
  /** Of the sandboxes in use and of the idle ones. */
  #memoryTakenMiB = 0

  constructor(components: Components, init: { memoryMiB: number }) {
    this.#components = components
    this.#memoryMiB = init.memoryMiB
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined
  }

  /** The last one used with these needs, or a new one, when idle ones have made room for it. */
  async take(needs: Needs): Promise<Opened> {
    const { key, init } = needs
    const warm = this.#find(key)
    if (warm !== undefined) {
      clearTimeout(warm.timer)
      this.#idle.delete(warm)
      await warm.ready
      return warm.opened
    }
    this.#memoryTakenMiB += init.memoryMiB
    for (const idle of this.#idle) {
      if (this.#memoryTakenMiB <= this.#memoryMiB) break
      this.#drop(idle)
    }
    await Promise.all(this.#closing)
    return this.#open(needs)
  }

  /** Starts a process for a job whose turn is near, if there is memory that nobody uses. */
  prepare(needs: Needs): void {
    const { onError } = this.#components
    const { memoryMiB } = needs.init
    if (this.has(needs.key) || this.#memoryTakenMiB + memoryMiB > this.#memoryMiB) return
    this.#memoryTakenMiB += memoryMiB
    const opened = this.#open(needs)
    const late = AbortSignal.timeout(LIMITS.SANDBOX_START_TIMEOUT_MS)
    this.put(needs, opened, opened.sandbox.warm(late).catch(onError))
  }

  put({ key, init: { memoryMiB } }: Needs, opened: Opened, ready: Promise<void> = Promise.resolve()): void {
    const timer = setTimeout(() => this.#lapse(idle), LIMITS.SANDBOX_LINGER_MS)
    const idle: Idle = { key, memoryMiB, opened, timer, ready }
    this.#idle.add(idle)
    const [oldest] = this.#idle
    if (oldest !== undefined && this.#idle.size > LIMITS.SANDBOXES_WARM_MAX) this.#drop(oldest)
  }

  /** Ends every idle one. */
  async clear(): Promise<void> {
    for (const idle of this.#idle) this.#drop(idle)
    await Promise.all(this.#closing)
  }

  #open({ runtime, init }: Needs): Opened {
    const reports = new Reports()
    const onReport = (report: UnitReport): void => reports.add(report)
    const files = new UnitFiles(this.#components)
    const live = new LiveOutput()
    const onOutput: SandboxInit['onOutput'] = (...given) => live.add(...given)
    const saved: Saved = { on: null }
    const onCheckpoint: SandboxInit['onCheckpoint'] = (...given) => saved.on?.(...given)
    const keepFiles: SandboxInit['keepFiles'] = (...given) => files.keep(...given)
    return {
      sandbox: this.#components.runtimes.open(runtime, { ...init, onReport, onOutput, onCheckpoint, keepFiles }),
      reports,
      files,
      live,
      saved,
    }
  }

  #find(key: string): Idle | undefined {
    let latest: Idle | undefined
    for (const idle of this.#idle) if (idle.key === key) latest = idle
    return latest
  }

  /** A job whose small share keeps it waiting for longer would otherwise pay for a new process with each turn. */
  #lapse(idle: Idle): void {
    if (this.#components.isWanted(idle.key)) idle.timer.refresh()
    else this.#drop(idle)
  }

  #drop(idle: Idle): void {
    clearTimeout(idle.timer)
    this.#idle.delete(idle)
    this.#memoryTakenMiB -= idle.memoryMiB
    const closed = idle.opened.sandbox
      .close()
      .catch(this.#components.onError)
      .finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }
}
