/**
 * The tasks of the jobs at hand, in memory only: what other machines send is never kept on this one's disk. One that
 * no job needs stays until its room is wanted, as the submitter's next job often runs the same.
 */

import type { Digest } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { TaskRef } from '../../protocol/manifest.ts'

/** @throws E_BLOB, E_UNREACHABLE */
export type FetchTask = (from: string, digest: Digest, bytes: number, signal: AbortSignal) => Promise<Uint8Array>

/** A task while somebody needs it. */
type HeldTask = { source: string; release(): void }

type Shelved = { source: string; bytes: number; holders: number }

export class TaskShelf {
  readonly #fetch: FetchTask
  /** Of each submitter its own. Least recently asked for first. */
  readonly #tasks = new Map<string, Shelved>()
  /** Of the tasks here and of those on their way. */
  #bytes = 0
  /** Of these, what jobs need: of all submitters, and of each. */
  #needed = 0
  readonly #neededBy = new Map<string, number>()

  constructor(components: { fetch: FetchTask }) {
    this.#fetch = components.fetch
  }

  /** @throws E_BUSY when the submitter's jobs would need more room than they leave, and what fetching throws */
  async hold(from: string, { digest, bytes }: TaskRef, signal: AbortSignal): Promise<HeldTask> {
    const key = `${from} ${digest}`
    const known = this.#tasks.get(key)
    if (known !== undefined) {
      if (known.holders === 0) this.#need(from, bytes)
      return this.#hold(from, key, known)
    }
    this.#need(from, bytes)
    this.#makeRoom(bytes)
    let source: string
    try {
      source = new TextDecoder().decode(await this.#fetch(from, digest, bytes, signal))
    } catch (error) {
      this.#bytes -= bytes
      this.#needNoMore(from, bytes)
      throw error
    }
    const meanwhile = this.#tasks.get(key)
    if (meanwhile === undefined) return this.#hold(from, key, { source, bytes, holders: 0 })
    this.#bytes -= bytes
    if (meanwhile.holders > 0) this.#needNoMore(from, bytes)
    return this.#hold(from, key, meanwhile)
  }

  /** Of a task whose room is taken. */
  #hold(from: string, key: string, task: Shelved): HeldTask {
    this.#tasks.delete(key)
    this.#tasks.set(key, task)
    task.holders += 1
    let held = true
    return {
      source: task.source,
      release: () => {
        if (!held) return
        held = false
        task.holders -= 1
        if (task.holders === 0) this.#needNoMore(from, task.bytes)
      },
    }
  }

  /**
   * Nobody may need more than is left (dynamic thresholds, Choudhury and Hahne 1998): one alone gets half of the room, and
   * whoever comes next half of what is left, however greedy those before were.
   */
  #need(from: string, bytes: number): void {
    const needed = (this.#neededBy.get(from) ?? 0) + bytes
    const left = LIMITS.WORKER_TASKS_MAX_BYTES - this.#needed - bytes
    if (needed > left) throw new TalkootError('E_BUSY', 'the tasks of the jobs at hand leave no room for this one')
    this.#neededBy.set(from, needed)
    this.#needed += bytes
  }

  #needNoMore(from: string, bytes: number): void {
    const needed = (this.#neededBy.get(from) ?? 0) - bytes
    if (needed > 0) this.#neededBy.set(from, needed)
    else this.#neededBy.delete(from)
    this.#needed -= bytes
  }

  /** What jobs need leaves room for this, so what none needs is enough to forget. */
  #makeRoom(bytes: number): void {
    for (const [key, task] of this.#tasks) {
      if (this.#bytes + bytes <= LIMITS.WORKER_TASKS_MAX_BYTES) break
      if (task.holders > 0) continue
      this.#tasks.delete(key)
      this.#bytes -= task.bytes
    }
    this.#bytes += bytes
  }
}
