/** States that units save of themselves: told to the node at once, and no more of them than it can take. */

import { LIMITS } from '../../../../protocol/limits.ts'
import type { Call } from '../frames.ts'
import type { Context } from './call.ts'
import { encodeValue } from './encode.ts'
import { failureOf } from './failure.ts'
import { monotonicMs } from './host.ts'

/** What one costs at least, however small. */
const COST_MIN_BYTES = 8 * 1024
/** What may be told at once. */
const BURST_BYTES = 2 * LIMITS.UNIT_CHECKPOINT_MAX_BYTES
const BYTES_PER_MS = LIMITS.SANDBOX_CHECKPOINTS_PER_SECOND_BYTES / 1_000

export class Checkpoints {
  readonly #tell: (unit: number, state: string) => void
  /** The unit that may save now. */
  #running: number | null = null
  #room = BURST_BYTES
  #roomAtMs = 0

  constructor(tell: (unit: number, state: string) => void) {
    this.#tell = tell
  }

  /** What the unit of a call gets for them. */
  begin(call: Call): Pick<Context, 'checkpoint' | 'resumed'> {
    const unit = 'unit' in call ? call.unit : null
    this.#running = unit
    return {
      checkpoint: (state) => this.#save(unit, state),
      resumed: 'resumed' in call ? parse(call.resumed) : undefined,
    }
  }

  /** Nothing is saved after it. */
  end(): void {
    this.#running = null
  }

  /** Whether a state is refused hangs on nothing but the state: a unit's value may hang on it. */
  #save(unit: number | null, state: unknown): void {
    if (unit === null || this.#running !== unit) throw refusal('a unit saves its state while it runs')
    // Getters and proxies of the state are task code, and what encodes it can do one at a time.
    this.#running = null
    try {
      const text = encodeValue(state, LIMITS.UNIT_CHECKPOINT_MAX_BYTES)
      if (this.#hasRoomFor(text.length)) this.#tell(unit, text)
    } catch (thrown) {
      throw refusal(failureOf(thrown).message)
    } finally {
      this.#running = unit
    }
  }

  #hasRoomFor(bytes: number): boolean {
    const now = monotonicMs()
    this.#room = Math.min(BURST_BYTES, this.#room + (now - this.#roomAtMs) * BYTES_PER_MS)
    this.#roomAtMs = now
    const cost = Math.max(COST_MIN_BYTES, bytes)
    if (cost > this.#room) return false
    this.#room -= cost
    return true
  }
}

const refusal = (message: string): Error => Object.assign(new Error(`checkpoint: ${message}`), { code: 'E_CHECKPOINT' })

/** What is not JSON is as good as none: the peer that keeps it may say anything. */
function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
