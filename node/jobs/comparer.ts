/** Asks a task's own `agree` whether two results are the same, in a sandbox of this machine, one question at a time. */

import type { JobId, Manifest } from '../../protocol/manifest.ts'
import type { Runtime, Sandbox } from '../runtimes/runtime.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { SchedulerEffect, SchedulerEvent } from './scheduler/events.ts'

type Question = Extract<SchedulerEffect, { type: 'compare' }>

type Components = {
  runtime: Runtime
  blobs: BlobStore
  onEvent(event: SchedulerEvent): void
  onError(error: unknown): void
}

export class Comparer {
  readonly #components: Components
  readonly #sandboxes = new Map<JobId, Sandbox>()
  readonly #stopping = new AbortController()
  #queue: Promise<void> = Promise.resolve()

  constructor(components: Components) {
    this.#components = components
  }

  /** The answer comes as a `compared` event. A comparison that fails counts as "not the same". */
  compare(manifest: Manifest, question: Question): void {
    this.#queue = this.#queue.then(() => this.#ask(manifest, question)).catch(this.#components.onError)
  }

  forget(job: JobId): void {
    this.#sandboxes.get(job)?.close().catch(this.#components.onError)
    this.#sandboxes.delete(job)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#queue
    for (const job of [...this.#sandboxes.keys()]) this.forget(job)
  }

  async #ask(manifest: Manifest, { job, unit, a, b }: Question): Promise<void> {
    if (this.#stopping.signal.aborted) return
    let same = false
    try {
      same = await this.#sandboxFor(job, manifest).agree(a.value, b.value, this.#stopping.signal)
    } catch (error) {
      this.#components.onError(error)
    }
    this.#components.onEvent({ type: 'compared', job, unit, a: a.digest, b: b.digest, same })
  }

  #sandboxFor(job: JobId, { task, policy }: Manifest): Sandbox {
    const known = this.#sandboxes.get(job)
    if (known !== undefined) return known
    const source = new TextDecoder().decode(this.#components.blobs.get(task.digest))
    const { seed, memoryMiB, timeoutMs } = policy
    const sandbox = this.#components.runtime.open({ source, seed, memoryMiB, timeoutMs })
    this.#sandboxes.set(job, sandbox)
    return sandbox
  }
}
