/**
 * The tasks of the jobs at hand, in memory only: what other machines send is never kept on this one's disk. One that
 * no job needs stays until its room is wanted, as the next job often runs the same.
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
  /** Least recently asked for first. */
  readonly #tasks = new Map<Digest, Shelved>()
  /** Of the tasks here and of those on their way. */
  #bytes = 0

  constructor(components: { fetch: FetchTask }) {
    this.#fetch = components.fetch
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws E_BUSY when jobs need all the room there is, and what fetching throws */
  async hold(from: string, { digest, bytes }: TaskRef, signal: AbortSignal): Promise<HeldTask> {
    const known = this.#tasks.get(digest)
    if (known !== undefined) return this.#hold(digest, known)
    this.#reserve(bytes)
    let source: string
    try {
      source = new TextDecoder().decode(await this.#fetch(from, digest, bytes, signal))
    } catch (error) {
      this.#bytes -= bytes
      throw error
    }
    const meanwhile = this.#tasks.get(digest)
    if (meanwhile !== undefined) this.#bytes -= bytes
    return this.#hold(digest, meanwhile ?? { source, bytes, holders: 0 })
  }

  #hold(digest: Digest, task: Shelved): HeldTask {
    this.#tasks.delete(digest)
    this.#tasks.set(digest, task)
    task.holders += 1
    let held = true
    return {
      source: task.source,
      release() {
        if (held) task.holders -= 1
        held = false
      },
    }
  }

  #reserve(bytes: number): void {
    for (const [digest, task] of this.#tasks) {
      if (this.#bytes + bytes <= LIMITS.WORKER_TASKS_MAX_BYTES) break
      if (task.holders > 0) continue
      this.#tasks.delete(digest)
      this.#bytes -= task.bytes
    }
    if (this.#bytes + bytes > LIMITS.WORKER_TASKS_MAX_BYTES) {
      throw new TalkootError('E_BUSY', 'the tasks of other jobs take all the room there is')
    }
    this.#bytes += bytes
  }
}
