/** One job on one slot: a process for each unit, started with the unit's parameters in their places. */

import type { Program } from '../../../protocol/command/program.ts'
import type { TreeRef } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import type { Attempt } from '../../../protocol/work.ts'
import { failed } from '../failed.ts'
import { type Prepared, type SandboxComponents, untilAborted } from '../prepared-runtime.ts'
import type { ReachableFolders } from '../reachable-folders.ts'
import type { Sandbox, SandboxInit, UnitFile, UnitInput } from '../runtime.ts'
import { collectedFiles } from './collect.ts'
import { JobFiles, type OwnInputs } from './job-files.ts'
import { type FilledUnit, filledUnit } from './unit.ts'
import { reportOf, resultOf } from './unit-end.ts'
import type { UnitEnd, UnitProcessInit } from './unit-process.ts'

/** What every way to run programs has found out. */
export type PreparedProgram = Prepared & {
  /** Descriptors of this node that a unit must not have. */
  shut: readonly number[]
  /** Where the user units run as finds the files of a job. */
  inputs: ReachableFolders
}

/** What of a unit's process is the same however it is confined. */
export type UnitIo = Pick<
  UnitProcessInit,
  'stdin' | 'timeoutMs' | 'memoryMiB' | 'onOutput' | 'checkpointing' | 'collect'
>

/** `own`: the files of its point; null: it has none. */
export type GivenUnit = FilledUnit & { own: OwnInputs | null }

/** A job as one way to run programs has laid it on disk. */
export type ProgramJob = {
  program: Program
  /** Starts what can be started before there are units. @throws as `run` */
  warm?(signal: AbortSignal): Promise<void>
  /** `file`: what was started, if it is known. @throws, coded, what kept it from beginning */
  run(unit: GivenUnit, io: UnitIo, signal: AbortSignal): Promise<{ end: UnitEnd; file: string | null }>
  /** Takes it off the disk. */
  close(): Promise<void>
}

/** What it makes lies in the runtime's folder; the signal is that the sandbox is closed. */
export type LayJob<P> = (prepared: P, job: SandboxInit, files: JobFiles, signal: AbortSignal) => Promise<ProgramJob>

type Laid = { job: ProgramJob; files: JobFiles }

export class ProgramSandbox<P extends PreparedProgram> implements Sandbox {
  readonly #components: SandboxComponents<P> & { layJob: LayJob<P> }
  readonly #init: SandboxInit
  readonly #closing = new AbortController()
  #laid: Promise<Laid> | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor(components: SandboxComponents<P> & { layJob: LayJob<P> }, init: SandboxInit) {
    this.#components = components
    this.#init = init
  }

  async warm(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    const { job } = await untilAborted(() => this.#lay(), either)
    await job.warm?.(either)
  }

  async *run(units: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[]> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    for (const unit of units) {
      if (either.aborted) return
      const running = this.#runUnit(unit, either)
      this.#running = running.catch(() => undefined)
      const attempt = await running
      if (attempt === null) return
      yield [attempt]
    }
  }

  async agree(): Promise<boolean> {
    throw new TalkootError('E_TASK_INVALID', 'a program has no `agree`')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    const laid = await this.#laid?.catch(() => undefined)
    await laid?.job.close()
    await laid?.files.release()
    this.#components.onClosed(this)
  }

  /** Null when it was aborted. */
  async #runUnit({ unit, params, resumed, files: own }: UnitInput, signal: AbortSignal): Promise<Attempt | null> {
    try {
      const { job, files } = await untilAborted(() => this.#lay(), signal)
      const filled = filledUnit(job.program, unit, params)
      let kept: TreeRef | null = null
      const collect = async (pipe: AsyncIterable<Uint8Array>): Promise<void> => {
        kept = await this.#keep(unit, await collectedFiles(pipe), signal)
      }
      const { memoryMiB, timeoutMs } = this.#init
      const io: UnitIo = {
        stdin: filled.stdin,
        timeoutMs,
        memoryMiB,
        onOutput: (...written) => this.#init.onOutput?.(unit, ...written),
        checkpointing: { resumed, onSaved: (state) => this.#init.onCheckpoint?.(unit, state) },
        collect: filled.outputs.length === 0 ? undefined : collect,
      }
      const given = { ...filled, own: await files.own(unit, own) }
      const { end, file } = await job.run(given, io, signal).finally(() => files.forget(unit))
      if (end.killed === 'aborted') return null
      this.#init.onReport?.(reportOf(unit, end, file))
      return { unit, ok: true, value: resultOf(end, this.#init, kept) }
    } catch (thrown) {
      if (signal.aborted) return null
      const { code, message } = TalkootError.from(thrown)
      return failed(unit, code, message)
    }
  }

  /** Null: there is nothing to keep of a program that failed. */
  async #keep(unit: number, files: AsyncIterable<UnitFile> | null, signal: AbortSignal): Promise<TreeRef | null> {
    const { keepFiles } = this.#init
    if (files === null) return null
    if (keepFiles === undefined) throw new TalkootError('E_INTERNAL', 'there is no place for files here')
    return await keepFiles(unit, files, signal)
  }

  #lay(): Promise<Laid> {
    this.#laid ??= this.#layDown()
    return this.#laid
  }

  async #layDown(): Promise<Laid> {
    const prepared = await this.#components.prepared()
    const files = new JobFiles({ reachable: prepared.inputs }, this.#init)
    try {
      return { job: await this.#components.layJob(prepared, this.#init, files, this.#closing.signal), files }
    } catch (error) {
      await files.release()
      throw error
    }
  }
}
