/** The loop of the sandbox process: reads frames of calls, runs them in order, and writes their ends in groups. */

import { LIMITS } from '../../../../protocol/limits.ts'
import { base64OfBytes } from '../../../../protocol/wasm/bytes.ts'
import { type Call, type InitFrame, PART_BYTES, type RunFrame } from '../frames.ts'
import { type Context, Log, type Outcome, runCall } from './call.ts'
import { markCallEnded, readFrame, writeFrame } from './channel.ts'
import { Checkpoints } from './checkpoints.ts'
import { encodeValue } from './encode.ts'
import { Failure, failureOf } from './failure.ts'
import { givenFiles } from './given.ts'
import { afterTurn, drainPromiseJobs, holdsRejections, monotonicMs } from './host.ts'
import { Left } from './outputs/left.ts'
import { seededRandom, useRandom } from './random.ts'
import type { Task } from './task.ts'

export class Server {
  readonly #init: InitFrame
  readonly #freshTask: () => Task
  readonly #checkpoints: Checkpoints
  #frame: RunFrame = { id: 0, calls: [] }
  #callsBegun = 0
  #held: string[] = []
  #heldChars = 0
  #flushedAtMs = 0
  constructor(init: InitFrame, freshTask: () => Task) {
    this.#init = init
    this.#freshTask = freshTask
    this.#checkpoints = new Checkpoints((unit, state) => {
      // A unit that saves its state is a long one: those before it do not wait for its end.
      this.#flush()
      writeFrame(`{"token":"${init.token}","id":${this.#frame.id},"unit":${unit},"state":${JSON.stringify(state)}}`)
    })
  }

  /** Serves until the node closes the pipe, which ends the process. Rejected promises of a call go before the next. */
  serve(): void {
    do this.#step()
    while (!holdsRejections())
    afterTurn(() => this.serve())
  }

  #step(): void {
    const call = this.#frame.calls[this.#callsBegun++]
    if (call !== undefined) {
      this.#run(call)
      return
    }
    this.#flush()
    this.#frame = readFrame() as RunFrame
    this.#callsBegun = 0
    this.#flushedAtMs = monotonicMs()
  }

  #run(call: Call): void {
    const { seed } = this.#init
    const unit = 'unit' in call ? call.unit : 0
    const random = seededRandom(seed, unit)
    useRandom(random)
    const log = new Log()
    const saved = this.#checkpoints.begin(call)
    const own = 'given' in call && call.given !== undefined ? givenFiles(call.given) : undefined
    const given = own === undefined ? {} : { given: own.files }
    const context: Context = { unit, seed, random, log: log.add, ...saved, ...given }
    this.#end(runCall(call, this.#freshTask, context), log)
    own?.close()
  }

  #end(outcome: Outcome, log: Log): void {
    this.#checkpoints.end()
    const { archive, ...ended } = apart(outcome)
    if (archive !== undefined) this.#send(archive)
    const [code, text] = endOf(ended)
    // Getters and proxies of the value are task code, and may have made more of them.
    drainPromiseJobs()
    const end = JSON.stringify([code, text, log.text])
    this.#held.push(end)
    this.#heldChars += end.length
    markCallEnded()
    const late = monotonicMs() - this.#flushedAtMs >= LIMITS.SANDBOX_FLUSH_MS
    if (late || this.#heldChars >= LIMITS.UNIT_RESULT_MAX_BYTES) this.#flush()
  }

  /** What a unit leaves goes before its end, and after those of the units before it. */
  #send(archive: Iterable<Uint8Array>): void {
    this.#flush()
    const frame = (part: Uint8Array): void =>
      writeFrame(`{"token":"${this.#init.token}","id":${this.#frame.id},"part":"${base64OfBytes(part)}"}`)
    const buffer = new Uint8Array(PART_BYTES)
    let filled = 0
    for (const bytes of archive) {
      for (let at = 0; at < bytes.length; ) {
        const some = bytes.subarray(at, at + PART_BYTES - filled)
        buffer.set(some, filled)
        filled += some.length
        at += some.length
        if (filled < PART_BYTES) continue
        frame(buffer)
        filled = 0
      }
    }
    if (filled > 0) frame(buffer.subarray(0, filled))
    frame(new Uint8Array())
  }

  #flush(): void {
    if (this.#held.length === 0) return
    writeFrame(`{"token":"${this.#init.token}","id":${this.#frame.id},"ends":[${this.#held.join()}]}`)
    this.#held = []
    this.#heldChars = 0
    this.#flushedAtMs = monotonicMs()
  }
}

/** What a unit leaves, and its outcome without. */
function apart({ state, value }: Outcome): Outcome & { archive?: Iterable<Uint8Array> } {
  return Left.is(value) ? { state, value: value.value, archive: value.archive } : { state, value }
}

function endOf({ state, value }: Outcome): [code: string | null, text: string] {
  try {
    if (state === 'returned') return [null, encodeValue(value, LIMITS.UNIT_RESULT_MAX_BYTES)]
    if (state === 'pending') throw new Failure('E_NEVER_SETTLED', 'nothing is left that could settle the promise')
    throw value
  } catch (thrown) {
    const { code, message } = failureOf(thrown)
    return [code, message]
  }
}
