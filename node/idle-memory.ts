/** Gives memory back to the machine while a node has nothing to do. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_EVERY_MS = 15_000
/** Looks in a row without work before memory is collected: a pause between two jobs is no idleness. */
const IDLE_LOOKS = 2
/** A machine's peers may be busy with it while it has no work: of one core, more than this part is no idleness. */
const IDLE_CPU = 0.05
/** Less is not worth a collection. */
const GROWN_BYTES = 6 * 2 ** 20

/**
 * V8 collects when a program allocates; an idle one keeps whatever starting, joining and the last job took, twice what it
 * needs. One collection of the thorough kind takes some 0.1 s, which an idle node has.
 */
export class IdleMemory {
  readonly #isIdle: () => boolean
  readonly #collect = collector()
  #timer: NodeJS.Timeout | undefined
  #idleLooks = 0
  #cpu = process.cpuUsage()
  #lookedAt = performance.now()
  /** Resident memory after the last collection, bytes. */
  #settledAt = 0

  constructor(components: { isIdle(): boolean }) {
    this.#isIdle = components.isIdle
  }

  start(): void {
    this.stop()
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS * (0.8 + Math.random() * 0.4))
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    this.#idleLooks = this.#isQuiet() && this.#isIdle() ? this.#idleLooks + 1 : 0
    if (this.#idleLooks < IDLE_LOOKS || process.memoryUsage.rss() < this.#settledAt + GROWN_BYTES) return
    this.#idleLooks = 0
    this.#collect()
    this.#settledAt = process.memoryUsage.rss()
    // A collection is no sign that there is work.
    this.#cpu = process.cpuUsage()
  }

  #isQuiet(): boolean {
    const { user, system } = process.cpuUsage(this.#cpu)
    const share = (user + system) / 1_000 / (performance.now() - this.#lookedAt)
    this.#cpu = process.cpuUsage()
    this.#lookedAt = performance.now()
    return share < IDLE_CPU
  }
}

/** V8 hands its collector out to contexts made while the flag is set. `last-resort` also shrinks the space of the young. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect: NodeJS.GCFunction = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return () => collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
