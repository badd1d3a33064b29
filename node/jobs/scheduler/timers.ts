/** Things to do at a time: a binary heap, equal times in the order they were set. */

type Entry<Due> = { at: number; order: number; due: Due }

export class Timers<Due> {
  readonly #heap: Entry<Due>[] = []
  #order = 0

  get nextAt(): number | null {
    return this.#heap[0]?.at ?? null
  }

  get size(): number {
    return this.#heap.length
  }

  set(at: number, due: Due): void {
    const heap = this.#heap
    const entry = { at, order: this.#order++, due }
    let place = heap.length
    heap.push(entry)
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !before(entry, parent)) break
      heap[place] = parent
      place = above
    }
    heap[place] = entry
  }

  /** Takes the first that is due, if any. */
  take(now: number): Due | null {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.at > now) return null
    const last = heap.pop()
    if (last !== undefined && last !== first) this.#sink(last)
    return first.due
  }

  #sink(entry: Entry<Due>): void {
    const heap = this.#heap
    let place = 0
    for (;;) {
      const [left, right] = [heap[2 * place + 1], heap[2 * place + 2]]
      if (left === undefined) break
      const rightFirst = right !== undefined && before(right, left)
      const child = rightFirst ? right : left
      if (!before(child, entry)) break
      heap[place] = child
      place = 2 * place + (rightFirst ? 2 : 1)
    }
    heap[place] = entry
  }
}

const before = (a: Entry<unknown>, b: Entry<unknown>): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
