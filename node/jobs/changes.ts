/** Lets any number of readers wait for the next change of something, and miss none. */

export class Changes<Key> {
  readonly #watches = new Map<Key, Set<() => void>>()

  notify(key: Key): void {
    for (const ring of this.#watches.get(key) ?? []) ring()
  }

  notifyAll(): void {
    for (const key of this.#watches.keys()) this.notify(key)
  }

  /** From now on; to be disposed of, or it is kept for ever. */
  watch(key: Key): Watch {
    const rings = this.#watches.get(key) ?? new Set()
    this.#watches.set(key, rings)
    const watch = new Watch(() => {
      rings.delete(ring)
      if (rings.size === 0 && this.#watches.get(key) === rings) this.#watches.delete(key)
    })
    const ring = () => watch.ring()
    rings.add(ring)
    return watch
  }

  /** Keys that somebody watches. */
  get size(): number {
    return this.#watches.size
  }
}

class Watch implements Disposable {
  readonly #dispose: () => void
  #changed = false
  #wake: (() => void) | null = null

  constructor(dispose: () => void) {
    this.#dispose = dispose
  }

  ring(): void {
    this.#changed = true
    this.#wake?.()
  }

  /** Resolves when something has changed since the last call, or when the signal aborts. One call at a time. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = () => resolve()
      this.#wake = wake
      signal.addEventListener('abort', wake, { once: true })
      await promise
      signal.removeEventListener('abort', wake)
      this.#wake = null
    }
    this.#changed = false
  }

  [Symbol.dispose](): void {
    this.#dispose()
  }
}
