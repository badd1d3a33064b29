/** The loop of the sandbox process: reads frames of calls, runs them in order, and writes their ends in groups. */

import { LIMITS } from '../../../../protocol/limits.ts'
import type { Call, InitFrame, RunFrame } from '../frames.ts'
import { type Context, Log, type Outcome, startCall } from './call.ts'
import { markCallEnded, markWaiting, readFrame, writeFrame } from './channel.ts'
import { encodeResult } from './encode.ts'
import { failureOf } from './failure.ts'
import { inMacrotask, monotonicMs } from './host.ts'
import { seededRandom, useRandom } from './random.ts'
import type { Task } from './task.ts'

export class Server {
  readonly #init: InitFrame
  readonly #freshTask: () => Task
  #frame: RunFrame = { id: 0, calls: [] }
  /** Index in the frame of the call that runs or is next. */
  #next = 0
  #held: string[] = []
  #heldChars = 0
  #flushedAtMs = 0
  /** Goes on after the call that waits for the host (a WebAssembly compilation), if one does. */
  #resume: (() => void) | undefined

  constructor(init: InitFrame, freshTask: () => Task) {
    this.#init = init
    this.#freshTask = freshTask
  }

  /** Runs until a call waits for the host, and is called again when it need not wait any more. */
  serve(): void {
    for (;;) {
      const call = this.#frame.calls[this.#next]
      if (call === undefined) this.#nextFrame()
      else if (!this.#run(call)) return
    }
  }

  #nextFrame(): void {
    this.#flush()
    this.#frame = readFrame() as RunFrame
    this.#next = 0
    this.#flushedAtMs = monotonicMs()
  }

  /** Returns false when the call waits for the host. */
  #run(call: Call): boolean {
    const log = new Log()
    const random = seededRandom(this.#init.seed, 'unit' in call ? call.unit : 0)
    useRandom(random)
    const context: Context = { unit: 'unit' in call ? call.unit : 0, seed: this.#init.seed, random, log: log.add }
    const outcome = startCall(call, this.#freshTask, context, () => this.#wake())
    if (outcome.state !== 'pending') {
      this.#end(outcome, log)
      return true
    }
    markWaiting()
    this.#resume = () => {
      this.#end(outcome, log)
      this.serve()
    }
    return false
  }

  /** In a macrotask, for promise jobs cannot be drained from within one. */
  #wake(): void {
    const resume = this.#resume
    this.#resume = undefined
    if (resume !== undefined) inMacrotask(resume)
  }

  #end(outcome: Outcome, log: Log): void {
    const end = JSON.stringify([...endOf(outcome), log.text])
    this.#held.push(end)
    this.#heldChars += end.length
    this.#next++
    markCallEnded()
    const late = monotonicMs() - this.#flushedAtMs >= LIMITS.SANDBOX_FLUSH_MS
    if (late || this.#heldChars >= LIMITS.UNIT_RESULT_MAX_BYTES) this.#flush()
  }

  #flush(): void {
    if (this.#held.length === 0) return
    writeFrame(`{"token":"${this.#init.token}","id":${this.#frame.id},"ends":[${this.#held.join()}]}`)
    this.#held = []
    this.#heldChars = 0
    this.#flushedAtMs = monotonicMs()
  }
}

function endOf({ state, value }: Outcome): [code: string | null, text: string] {
  try {
    if (state === 'returned') return [null, encodeResult(value)]
    throw value
  } catch (thrown) {
    const { code, message } = failureOf(thrown)
    return [code, message]
  }
}
