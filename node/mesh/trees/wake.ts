/** Something to wait for that others ring: rung while nobody waits, the next wait ends at once. */
export class Wake {
  #rung = false
  #waiting: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#waiting?.()
  }

  /** For one waiter at a time. Ends after `ms` in any case. */
  async wait(ms = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting = resolve
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined
      await promise
      clearTimeout(timer)
      this.#waiting = undefined
    }
    this.#rung = false
  }
}
