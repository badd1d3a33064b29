/** How far a job is, on one line that is drawn again at a terminal, now and then elsewhere. */

import type { JobSummary } from '../../../protocol/api.ts'
import { REASONS, type Reason } from '../../../protocol/reasons.ts'
import type { Sink } from '../io.ts'
import type { Colours } from './colours.ts'
import { count, duration } from './figures.ts'

const BAR_CELLS = 20
/** Without a terminal: a log is not to be filled. */
const PLAIN_INTERVAL_MS = 5_000
/** The time looked back on for the speed. */
const SPEED_WINDOW_MS = 20_000

export class ProgressLine {
  readonly #sink: Sink
  readonly #colours: Colours
  readonly #now: () => number
  readonly #samples: { at: number; done: number }[] = []
  #lastPlain = Number.NEGATIVE_INFINITY
  #drawn = false

  constructor(sink: Sink, init: { colours: Colours; now?: () => number }) {
    this.#sink = sink
    this.#colours = init.colours
    this.#now = init.now ?? (() => performance.now())
  }

  async update(job: JobSummary): Promise<void> {
    const at = this.#now()
    this.#samples.push({ at, done: job.accepted + job.failed })
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > SPEED_WINDOW_MS) this.#samples.shift()
    const text = progressText(job, this.#etaMs(job), this.#colours)
    if (this.#sink.isTerminal) {
      this.#drawn = true
      await this.#sink.write(`\r\u001b[K${cut(text, this.#sink.columns)}`)
    } else if (at - this.#lastPlain >= PLAIN_INTERVAL_MS || job.state !== 'running') {
      this.#lastPlain = at
      await this.#sink.write(`${text}\n`)
    }
  }

  /** Leaves the last line standing. */
  async end(): Promise<void> {
    if (this.#drawn) await this.#sink.write('\n')
    this.#drawn = false
  }

  /** At the speed of late; null while it is not known. */
  #etaMs({ units, accepted, failed }: JobSummary): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined || last.done <= first.done) return null
    return ((units - accepted - failed) * (last.at - first.at)) / (last.done - first.done)
  }
}

function progressText(job: JobSummary, etaMs: number | null, colours: Colours): string {
  const { units, accepted, failed, running, waiting, state } = job
  const part = units === 0 ? 1 : (accepted + failed) / units
  const filled = Math.floor(part * BAR_CELLS)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`
  const verifying = waiting.find(({ reason }) => reason === 'comparing')?.units ?? 0
  const failures = `failed ${count(failed)}`
  const numbers = `done ${count(accepted)} running ${count(running)} verifying ${count(verifying)}`
  const percent = `${Math.floor(part * 100)}%`.padStart(4)
  return `${bar} ${percent}  ${numbers} ${failed > 0 ? colours.red(failures) : failures}${ending(state, etaMs, job)}`
}

function ending(state: JobSummary['state'], etaMs: number | null, { running, waiting }: JobSummary): string {
  if (state !== 'running') return `  ${state}`
  const reason = waiting.toSorted((a, b) => b.units - a.units)[0]?.reason
  if (running === 0 && reason !== undefined) return `  waiting: ${briefly(reason)}`
  return etaMs === null ? '' : `  ETA ${duration(etaMs)}`
}

/** Why units wait, and for how long, in words. */
export const waitText = ({ reason, units, sinceMs }: JobSummary['waiting'][number]): string =>
  `${count(units)}: ${briefly(reason)} (${reason}, for ${duration(sinceMs)})`

/** A sentence of the list of reasons, to stand within another. */
function briefly(reason: Reason): string {
  const { says } = REASONS[reason]
  return says.charAt(0).toLowerCase() + says.slice(1, -1)
}

/** A line that wraps could not be drawn over. Colour codes have no width. */
function cut(text: string, columns: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that starts a colour code
  const visible = text.replace(/\u001b\[\d+m/g, '')
  return visible.length < columns ? text : visible.slice(0, columns - 1)
}
