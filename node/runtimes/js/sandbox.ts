/** One job on one slot: keeps a warm process, and replaces it after a unit that killed it. */

import { canonicalJson, type Json } from '../../../protocol/canonical.ts'
import type { TreeRef } from '../../../protocol/data/tree.ts'
import { isErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Attempt } from '../../../protocol/work.ts'
import { failed } from '../failed.ts'
import { collectedFiles } from '../program/collect.ts'
import type { Sandbox, SandboxInit, UnitInput } from '../runtime.ts'
import type { End, Given, RunCall } from './frames.ts'
import type { Session } from './session.ts'

export type SandboxComponents = {
  /** Starts a process for this job. */
  openSession: (init: SandboxInit) => Promise<Session>
  /** Lays the files of a unit's point where its process reads them, until `forget`. Undefined: it has none. @throws E_TREE */
  give?: (unit: UnitInput) => Promise<Given | undefined>
  forget?: (unit: number) => Promise<void>
  onClosed: (sandbox: JsSandbox) => void | Promise<void>
}

/** What a frame left to do. `alone`: the first of these units needs a process that nothing ran in before it. */
type Left = { again: readonly UnitInput[]; alone?: true }

const NONE: ReadonlyMap<number, Given> = new Map()

/** Units share a process: what one of them takes is not seen. */
const UNSEEN = { exit: null, stdout: '', wallMs: null, cpuMs: null, peakMiB: null }

export class JsSandbox implements Sandbox {
  readonly #components: SandboxComponents
  readonly #init: SandboxInit
  readonly #closing = new AbortController()
  #session: Session | undefined

  constructor(components: SandboxComponents, init: SandboxInit) {
    this.#components = components
    this.#init = init
  }

  async warm(signal: AbortSignal): Promise<void> {
    await this.#start(AbortSignal.any([signal, this.#closing.signal]))
  }

  async *run(units: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[]> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    let rest = units
    let frameUnits: number = LIMITS.FRAME_UNITS_MAX
    while (rest.length > 0 && !either.aborted) {
      const frame = rest.slice(0, frameUnits)
      const left = yield* this.#withFiles(frame, either)
      rest = [...left.again, ...rest.slice(frame.length)]
      // In a frame of its own, its end cannot be lost with a unit after it.
      frameUnits = left.alone ? 1 : LIMITS.FRAME_UNITS_MAX
    }
  }

  async agree(a: string, b: string, signal: AbortSignal): Promise<boolean> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    const session = await this.#start(either)
    const exchange = session.exchange([{ a, b }], either)
    const { done, value } = await exchange.next()
    await exchange.return(undefined)
    if (done) {
      this.#session = undefined
      either.throwIfAborted()
      throw new TalkootError(value?.code ?? 'E_INTERNAL', value?.message ?? 'no answer')
    }
    const [code, text] = (Array.isArray(value) ? value[0] : undefined) ?? ['E_PROTOCOL', 'no answer']
    if (code !== null) throw TalkootError.fromObject({ code, message: text })
    if (text === 'true' || text === 'false') return text === 'true'
    throw new TalkootError('E_RESULT_TYPE', '`agree` returned neither true nor false')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#session?.close()
    this.#session = undefined
    await this.#components.onClosed(this)
  }

  /** Those before one whose files are at fault, which then fails by itself. */
  async *#withFiles(frame: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[], Left> {
    const { give, forget } = this.#components
    if (give === undefined || frame.every(({ files }) => files === undefined))
      return yield* this.#runFrame(frame, signal)
    const given = new Map<number, Given>()
    const units: UnitInput[] = []
    try {
      for (const unit of frame) {
        const own = await give(unit).catch((error: unknown) => TalkootError.from(error))
        if (own instanceof TalkootError) {
          if (own.code !== 'E_TREE') throw own
          if (units.length > 0) break
          yield [failed(unit.unit, own.code, own.message)]
          return { again: frame.slice(1) }
        }
        if (own !== undefined) given.set(unit.unit, own)
        units.push(unit)
      }
      const left = yield* this.#runFrame(units, signal, given)
      return { ...left, again: [...left.again, ...frame.slice(units.length)] }
    } finally {
      for (const { unit } of frame) await forget?.(unit)
    }
  }

  /**
   * Returns the units to run again: those whose ends died with the process, or that had not begun; and one that met
   * the memory limit after others, for they may have left something: it is believed in a fresh process only.
   */
  async *#runFrame(
    frame: readonly UnitInput[],
    signal: AbortSignal,
    given: ReadonlyMap<number, Given> = NONE,
  ): AsyncGenerator<Attempt[], Left> {
    let session: Session
    try {
      session = await this.#start(signal)
    } catch (error) {
      if (signal.aborted) return { again: [] }
      const { code, message } = TalkootError.from(error)
      // What the task brings, not this machine.
      if (code !== 'E_TREE') throw error
      yield frame.map(({ unit }) => failed(unit, code, message))
      return { again: [] }
    }
    const { fresh } = session
    const doubted = (code: string | null, index: number): boolean => code === 'E_MEMORY' && !(fresh && index === 0)
    const exchange = session.exchange(
      frame.map((unit) => toCall(unit, given.get(unit.unit))),
      signal,
    )
    let ended = 0
    let files: TreeRef | null = null
    try {
      for (;;) {
        const { done, value } = await exchange.next()
        if (done) {
          if (value === undefined) return { again: [] }
          const culprit = frame.slice(value.index, value.index + 1)
          const others = frame.slice(ended).filter((unit) => !culprit.includes(unit))
          if (doubted(value.code, value.index)) return { again: [...culprit, ...others], alone: true }
          yield culprit.map(({ unit }) => failed(unit, value.code, value.message))
          return { again: others }
        }
        if (!Array.isArray(value)) {
          const [{ unit }] = frame.slice(ended) as [UnitInput]
          const kept = await this.#keep(unit, value.archive, signal)
          if (signal.aborted) return { again: [] }
          // Where the process has died of it, that is told next.
          if (session.alive && kept instanceof TalkootError) {
            yield [failed(unit, kept.code, kept.message)]
            return { again: frame.slice(ended + 1) }
          }
          files = kept instanceof TalkootError ? null : kept
          continue
        }
        const first = ended
        const doubt = value.findIndex(([code], i) => doubted(code, first + i))
        const believed = doubt < 0 ? value : value.slice(0, doubt)
        ended += believed.length
        if (believed.length > 0) {
          yield believed.map((end, i) => this.#attempt(frame[first + i], end, i === 0 ? files : null))
          files = null
        }
        if (doubt < 0) continue
        await session.close()
        return { again: frame.slice(ended), alone: true }
      }
    } finally {
      // However this ends, an exchange left midway has killed its process.
      await exchange.return(undefined)
      if (ended < frame.length) this.#session = undefined
    }
  }

  /** What of them is kept, or why nothing is. */
  async #keep(unit: number, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<TreeRef | TalkootError> {
    try {
      const { keepFiles } = this.#init
      const files = await collectedFiles(archive)
      if (files === null) throw new TalkootError('E_PROTOCOL', 'what it left is cut off')
      if (keepFiles === undefined) throw new TalkootError('E_INTERNAL', 'there is no place for files here')
      return await keepFiles(unit, files, signal)
    } catch (error) {
      return TalkootError.from(error)
    }
  }

  #attempt(input: UnitInput | undefined, [code, text, log]: End, files: TreeRef | null): Attempt {
    const unit = input?.unit ?? 0
    if (log !== '') this.#init.onReport?.({ unit, ...UNSEEN, stderr: log })
    if (code === null) return files === null ? { unit, ok: true, value: text } : withFiles(unit, text, files)
    return failed(unit, isErrorCode(code) ? code : 'E_PROTOCOL', text)
  }

  async #open(): Promise<Session> {
    try {
      return await this.#components.openSession(this.#init)
    } catch (error) {
      throw TalkootError.from(error, 'E_RUNTIME_MISSING')
    }
  }

  async #start(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted()
    if (this.#session?.alive) return this.#session
    const session = await this.#open()
    this.#session = session
    await session.start(signal)
    return session
  }
}

const toCall = ({ unit, params, resumed }: UnitInput, given: Given | undefined): RunCall => ({
  ...{ unit, params },
  ...(resumed === undefined ? {} : { resumed: Buffer.from(resumed).toString() }),
  ...(given === undefined ? {} : { given }),
})

function withFiles(unit: number, text: string, files: TreeRef): Attempt {
  const given = parsedObject(text)
  if (given === null) return failed(unit, 'E_PROTOCOL', 'files, and a value that has no place for them')
  const value = canonicalJson({ ...given, files })
  if (Buffer.byteLength(value) <= LIMITS.UNIT_RESULT_MAX_BYTES) return { unit, ok: true, value }
  return failed(unit, 'E_RESULT_TOO_BIG', `the result is over ${LIMITS.UNIT_RESULT_MAX_BYTES} bytes`)
}

function parsedObject(text: string): Record<string, Json> | null {
  try {
    const parsed: Json = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : null
  } catch {
    return null
  }
}
