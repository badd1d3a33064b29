/** The wait for the files of a job: nothing is said of one that is over in a moment. */

import { LIMITS } from '../../protocol/limits.ts'

export type Fetched = { bytes: number; of: number }

export class FilesWait {
  readonly #onLate: () => void
  #last: Fetched = { bytes: 0, of: 0 }
  #timer: NodeJS.Timeout | null = null
  #late = false

  constructor(onLate: () => void) {
    this.#onLate = onLate
  }

  /** How far it is, once it takes a while; null: it does not, or is over. */
  get late(): Fetched | null {
    return this.#late ? this.#last : null
  }

  update(fetched: Fetched): void {
    this.#last = fetched
    this.#timer ??= setTimeout(() => {
      this.#late = true
      this.#onLate()
    }, LIMITS.FETCH_GRACE_MS)
  }

  end(): void {
    this.#late = false
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}
