/** One job on one slot: keeps a warm process, and replaces it after a unit that killed it. */

import { type ErrorCode, isErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Attempt, Blame } from '../../../protocol/work.ts'
import type { Sandbox, SandboxInit, UnitInput } from '../runtime.ts'
import type { End } from './frames.ts'
import type { Session } from './session.ts'

export type SandboxComponents = {
  /** Starts a process for this job. */
  openSession: (init: SandboxInit) => Promise<Session>
  onLog: ((unit: number, text: string) => void) | undefined
  onClosed: (sandbox: JsSandbox) => void
}

export class JsSandbox implements Sandbox {
  readonly #components: SandboxComponents
  readonly #init: SandboxInit
  readonly #closing = new AbortController()
  #session: Session | undefined

  constructor(components: SandboxComponents, init: SandboxInit) {
    this.#components = components
    this.#init = init
  }

  async *run(units: readonly UnitInput[], signal: AbortSignal): AsyncGenerator<Attempt[]> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    let rest = units
    while (rest.length > 0 && !either.aborted) {
      const frame = rest.slice(0, LIMITS.FRAME_UNITS_MAX)
      const ended = yield* this.#runFrame(frame, either)
      rest = [...ended.again, ...rest.slice(frame.length)]
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
    const [code, text] = value[0] ?? ['E_PROTOCOL', 'no answer']
    if (code !== null) throw TalkootError.fromObject({ code, message: text })
    if (text === 'true' || text === 'false') return text === 'true'
    throw new TalkootError('E_RESULT_TYPE', '`agree` returned neither true nor false')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#session?.close()
    this.#session = undefined
    this.#components.onClosed(this)
  }

  /** Returns the units to run again: those whose ends died with the process, or that had not begun. */
  async *#runFrame(
    frame: readonly UnitInput[],
    signal: AbortSignal,
  ): AsyncGenerator<Attempt[], { again: readonly UnitInput[] }> {
    let session: Session
    try {
      session = await this.#start(signal)
    } catch (error) {
      if (signal.aborted) return { again: [] }
      throw error
    }
    const exchange = session.exchange(frame, signal)
    let ended = 0
    try {
      for (;;) {
        const { done, value } = await exchange.next()
        if (done) {
          if (value === undefined) return { again: [] }
          const culprit = frame[value.index]
          if (culprit !== undefined) yield [failed(culprit, value.code, value.message)]
          return { again: frame.slice(ended).filter((unit) => unit !== culprit) }
        }
        const attempts = value.map((end, i) => this.#attempt(frame[ended + i], end))
        ended += value.length
        yield attempts
      }
    } finally {
      // However this ends, an exchange left midway has killed its process.
      await exchange.return(undefined)
      if (ended < frame.length) this.#session = undefined
    }
  }

  #attempt(input: UnitInput | undefined, [code, text, log]: End): Attempt {
    const unit = input?.unit ?? 0
    if (log !== '') this.#components.onLog?.(unit, log)
    if (code === null) return { unit, ok: true, value: text }
    return failed({ unit }, isErrorCode(code) ? code : 'E_PROTOCOL', text)
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

function failed({ unit }: { unit: number }, code: ErrorCode, message: string): Attempt {
  return {
    unit,
    ok: false,
    code,
    message: message.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS),
    blame: BLAME[code] ?? 'program',
  }
}

/** Whatever is not listed is the program's own doing. */
const BLAME: Partial<Record<ErrorCode, Blame>> = { E_TIMEOUT: 'time', E_MEMORY: 'memory', E_UNIT_CRASHED: 'machine' }
