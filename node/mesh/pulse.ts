/** A jittered repeating timer that never overlaps itself, never throws into the event loop and never keeps a process up. */
export class Pulse {
  readonly #periodMs: number
  readonly #longestMs: number
  readonly #beat: (lateMs: number) => unknown
  #waitMs: number
  #timer: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #started = false
  #beating = false

  /**
   * @param beat told how late it comes: a large figure means this process was stalled or asleep; answers `idle`, or a promise of
   * that, when there was nothing to do
   * @param longestMs each idle beat doubles the wait up to this; one that is not, or `hurry`, makes it the period again
   */
  constructor(periodMs: number, beat: (lateMs: number) => unknown, longestMs = periodMs) {
    this.#periodMs = periodMs
    this.#longestMs = longestMs
    this.#waitMs = periodMs
    this.#beat = beat
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    this.#arm(this.#jittered())
  }

  stop(): void {
    this.#started = false
    clearTimeout(this.#timer)
  }

  /** Beats at a random moment within this long, or after the beat that is under way; never later than it would have. */
  hurry(withinMs: number): void {
    this.#waitMs = this.#periodMs
    if (this.#started) this.#arm(Math.random() * withinMs)
  }

  #arm(delayMs: number): void {
    const dueAt = performance.now() + delayMs
    if (dueAt >= this.#dueAt) return
    this.#dueAt = dueAt
    if (!this.#beating) this.#wait()
  }

  #wait(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#fire(), Math.max(0, this.#dueAt - performance.now()))
    this.#timer.unref()
  }

  async #fire(): Promise<void> {
    const lateMs = performance.now() - this.#dueAt
    this.#dueAt = Number.POSITIVE_INFINITY
    this.#beating = true
    const wait = this.#waitMs
    try {
      const found = await this.#beat(lateMs)
      // Unless it was hurried meanwhile.
      if (this.#waitMs === wait) this.#waitMs = found === 'idle' ? Math.min(2 * wait, this.#longestMs) : this.#periodMs
    } catch {
      // A beat that fails is a beat missed: the next one tries again.
    } finally {
      this.#beating = false
      this.#arm(this.#jittered())
      if (this.#started) this.#wait()
    }
  }

  #jittered(): number {
    return this.#waitMs * (0.8 + Math.random() * 0.4)
  }
}
