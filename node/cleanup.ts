/** What has been started, to be stopped in the opposite order, once, whatever fails on the way. */

export class Cleanup {
  readonly #steps: (() => unknown)[] = []
  readonly #onError: (error: unknown) => void
  #run: Promise<void> | null = null

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  run(): Promise<void> {
    this.#run ??= this.#unwind()
    return this.#run
  }

  async #unwind(): Promise<void> {
    for (const step of this.#steps.reverse()) {
      try {
        await step()
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}
