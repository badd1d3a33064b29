/** How far the files of a task are read and sent, for a person who waits; nothing is said of what takes a moment. */

import type { InputsProgress } from '../../../sdk/policy.ts'
import type { Sink } from '../io.ts'
import { bytes } from './figures.ts'

/** Before anything is said. */
const PATIENCE_MS = 1_000
const TERMINAL_INTERVAL_MS = 100
/** Without a terminal: a log is not to be filled. */
const PLAIN_INTERVAL_MS = 5_000

class InputsLine {
  readonly #sink: Sink
  readonly #now: () => number
  readonly #began: number
  #last: number
  #drawn = false

  constructor(sink: Sink, init: { now?: () => number } = {}) {
    this.#sink = sink
    this.#now = init.now ?? (() => performance.now())
    this.#began = this.#now()
    this.#last = this.#began
  }

  update({ step, done, of }: InputsProgress): void {
    const at = this.#now()
    const interval = this.#sink.isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS
    if (at - this.#began < PATIENCE_MS || at - this.#last < interval) return
    this.#last = at
    const text = `${step} files: ${bytes(done)} of ${bytes(of)}`
    this.#drawn = this.#sink.isTerminal
    void this.#sink.write(this.#sink.isTerminal ? `\r\u001b[K${text}` : `${text}\n`)
  }

  /** Takes the line away. */
  async end(): Promise<void> {
    if (this.#drawn) await this.#sink.write('\r\u001b[K')
    this.#drawn = false
  }
}

/** Does what reads and sends files, and says how far that is. */
export async function showingInputs<T>(
  { io }: { io: { stderr: Sink } },
  work: (onInputs: (progress: InputsProgress) => void) => Promise<T>,
): Promise<T> {
  const line = new InputsLine(io.stderr)
  try {
    return await work((progress) => line.update(progress))
  } finally {
    await line.end()
  }
}
