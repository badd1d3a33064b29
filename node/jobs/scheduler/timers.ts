/** Things to do at a time: a binary heap, equal times in the order they were set. */

export class Timers<Due> {
  // Three arrays rather than one of objects: sifting compares times without a visit to each entry.
  readonly #at: number[] = []
  readonly #order: number[] = []
  readonly #due: Due[] = []
  #set = 0

  get nextAt(): number | null {
    return this.#at[0] ?? null
  }

  get size(): number {
    return this.#at.length
  }

  get first(): Due | null {
    return this.#due[0] ?? null
  }

  set(at: number, due: Due): void {
    const order = this.#set++
    let place = this.#at.length
    this.#put(place, at, order, due)
    while (place > 0) {
      const above = (place - 1) >> 1
      if (!this.#isBefore(at, order, above)) break
      this.#copy(above, place)
      place = above
    }
    this.#put(place, at, order, due)
  }

  /** Takes the first that is due, if any. */
  take(now: number): Due | null {
    const first = this.#due[0]
    const firstAt = this.#at[0]
    if (first === undefined || firstAt === undefined || firstAt > now) return null
    const at = this.#at.pop()
    const order = this.#order.pop()
    const due = this.#due.pop()
    if (at !== undefined && order !== undefined && due !== undefined && this.#at.length > 0) this.#sink(at, order, due)
    return first
  }

  #sink(at: number, order: number, due: Due): void {
    const { length } = this.#at
    let place = 0
    for (let child = 1; child < length; child = 2 * place + 1) {
      const right = child + 1
      if (right < length && this.#isBefore(this.#at[right] ?? 0, this.#order[right] ?? 0, child)) child = right
      if (this.#isBefore(at, order, child)) break
      this.#copy(child, place)
      place = child
    }
    this.#put(place, at, order, due)
  }

  #isBefore(at: number, order: number, place: number): boolean {
    const other = this.#at[place] ?? 0
    return at < other || (at === other && order < (this.#order[place] ?? 0))
  }

  #copy(from: number, to: number): void {
    const [at, order, due] = [this.#at[from], this.#order[from], this.#due[from]]
    if (at !== undefined && order !== undefined && due !== undefined) this.#put(to, at, order, due)
  }

  #put(place: number, at: number, order: number, due: Due): void {
    this.#at[place] = at
    this.#order[place] = order
    this.#due[place] = due
  }
}
