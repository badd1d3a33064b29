/** A jittered repeating timer that never overlaps itself, never throws into the event loop and never keeps a process up. */
export class Pulse {
  readonly #periodMs: number
  readonly #beat: (lateMs: number) => void | Promise<void>
  #timer: NodeJS.Timeout | undefined
  #running = false

  /** @param beat told how late it comes: a large figure means this process was stalled or asleep */
  constructor(periodMs: number, beat: (lateMs: number) => void | Promise<void>) {
    this.#periodMs = periodMs
    this.#beat = beat
  }

  start(firstMs = this.#jittered()): void {
    if (this.#running) return
    this.#running = true
    this.#arm(firstMs)
  }

  stop(): void {
    this.#running = false
    clearTimeout(this.#timer)
  }

  /** Beats after at most this long instead of its usual period. */
  hurry(withinMs: number): void {
    if (this.#running) this.#arm(Math.random() * withinMs)
  }

  #arm(delayMs: number): void {
    clearTimeout(this.#timer)
    const due = performance.now() + delayMs
    this.#timer = setTimeout(() => void this.#fire(performance.now() - due), delayMs)
    this.#timer.unref()
  }

  async #fire(lateMs: number): Promise<void> {
    try {
      await this.#beat(lateMs)
    } catch {
      // A beat that fails is a beat missed: the next one tries again.
    } finally {
      if (this.#running) this.#arm(this.#jittered())
    }
  }

  #jittered(): number {
    return this.#periodMs * (0.8 + Math.random() * 0.4)
  }
}
