/** Jobs that are removed: gone for everybody at once, and from the disk step by step, in the next process if need be. */

import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import type { JobInfo, JobSummary, Removed } from '../../protocol/api.ts'
import type { Digest } from '../../protocol/canonical.ts'
import type { TreeRef } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeManifest, type JobId } from '../../protocol/manifest.ts'
import { rowsOf } from '../../protocol/sweep/rows-of.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { JobRemoval } from '../store/job-removal.ts'
import type { ReportStore } from '../store/report-store.ts'
import type { TreeStore } from '../store/tree-store.ts'
import type { JobTrees } from './job-trees.ts'
import type { LooseFiles } from './loose-files.ts'

type Components = {
  removal: JobRemoval
  reports: Pick<ReportStore, 'forget'>
  jobs: { info(idOrPrefix: string): JobInfo; list(): JobSummary[] }
  blobs: Pick<BlobStore, 'sweep'>
  trees: Pick<TreeStore, 'drop'>
  jobTrees: Pick<JobTrees, 'of'>
  loose: Pick<LooseFiles, 'discard' | 'sweep'>
  /** Milliseconds, monotonic. */
  now(): number
  onError(error: unknown): void
}

/** By the jobs that stay. */
type Needed = { blobs: Set<Digest>; trees: Set<Digest> }

export class Removals {
  readonly #components: Components
  readonly #stopping = new AbortController()
  #work: Promise<void> | null = null

  constructor(components: Components) {
    this.#components = components
  }

  /** Goes on with what an earlier process left. */
  start(): void {
    this.#components.loose.sweep().catch(this.#components.onError)
    this.#work ??= this.#persist()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  /** All of them or none; on disk when it returns. @throws E_NOT_FOUND, E_JOB_RUNNING, E_JOB_NEEDED, E_DISK_FULL */
  remove(idsOrPrefixes: readonly string[]): Removed {
    const { jobs, removal } = this.#components
    const asked = new Map(idsOrPrefixes.map((id) => jobs.info(id)).map((job) => [job.id, job]))
    for (const { id, state } of asked.values()) {
      if (state === 'running')
        throw new TalkootError('E_JOB_RUNNING', `job ${id.slice(0, 8)} runs`, { meta: { job: id } })
    }
    for (const job of jobs.list()) if (!asked.has(job.id)) checkGoesOnWithout(job, asked)
    removal.mark([...asked.keys()])
    this.#work ??= this.#persist()
    return { schema: 'talkoot.removed/1', jobs: [...asked.keys()] }
  }

  /** A disk that is full has room again one day. */
  async #persist(): Promise<void> {
    const { signal } = this.#stopping
    for (let done = false; !done && !signal.aborted; ) {
      done = await this.#removeMarked().catch(async (error: unknown) => {
        this.#components.onError(error)
        await wait(LIMITS.LEDGER_RETRY_MS, undefined, { signal }).catch(() => undefined)
        return false
      })
    }
    this.#work = null
  }

  /** Whether none is left. */
  async #removeMarked(): Promise<boolean> {
    const { removal, reports, loose, jobTrees, trees: cache } = this.#components
    const marked = removal.marked()
    const brought: TreeRef[] = []
    for (const job of marked) {
      await this.#inSteps(async (enough) => {
        const { more, trees } = removal.deleteRows(job, enough)
        // This machine may have written some of them itself.
        await Promise.all([loose.discard(trees), ...trees.map((tree) => cache.drop(tree))])
        return more
      })
      brought.push(...jobTrees.of(decodeManifest(removal.manifestOf(job)).manifest.task))
    }
    if (this.#stopping.signal.aborted) return false
    if (marked.length > 0) await this.#removeFiles(brought)
    for (const { n } of marked) reports.forget(n)
    removal.finish(marked)
    await this.#inSteps((enough) => removal.giveBack(enough))
    return removal.marked().length === 0
  }

  /** What removed jobs brought, but for what jobs that stay brought as well. */
  async #removeFiles(brought: readonly TreeRef[]): Promise<void> {
    const { trees, blobs } = this.#components
    const needed = await this.#needed({ trees: brought.length > 0 })
    // In the turn of the event loop in which the last job was looked at: one that is submitted next finds its files gone or kept.
    const gone = brought.filter(({ digest }) => !needed.trees.has(digest)).map(({ digest }) => trees.drop(digest))
    blobs.sweep(needed.blobs)
    await Promise.all(gone)
  }

  async #needed(wanted: { trees: boolean }): Promise<Needed> {
    const { removal, jobTrees } = this.#components
    const needed: Needed = { blobs: new Set(), trees: new Set() }
    for (let last = 0; ; await setImmediate()) {
      const [next] = removal.manifests(last, 1)
      if (next === undefined) return needed
      last = next.n
      const { task, sweep } = decodeManifest(next.manifest).manifest
      const known = needed.blobs.has(task.digest)
      for (const digest of [task.digest, ...rowsOf(sweep)]) needed.blobs.add(digest)
      if (wanted.trees && !known) for (const { digest } of jobTrees.of(task)) needed.trees.add(digest)
    }
  }

  /** Until there is no more; others have as long between two steps as a step took. */
  async #inSteps(step: (enough: () => boolean) => boolean | Promise<boolean>): Promise<void> {
    const { now } = this.#components
    const { signal } = this.#stopping
    for (let more = true; more && !signal.aborted; ) {
      const began = now()
      more = await step(() => now() - began >= LIMITS.REMOVAL_STEP_MS)
      await wait(now() - began, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** @throws E_JOB_NEEDED */
function checkGoesOnWithout(job: JobSummary, removed: ReadonlyMap<JobId, unknown>): void {
  const { id, state, after, retryOf } = job
  const needed = (other: JobId, why: string): TalkootError =>
    new TalkootError('E_JOB_NEEDED', `job ${id.slice(0, 8)} ${why} ${other.slice(0, 8)}`, {
      meta: { job: other, by: id },
    })
  if (retryOf !== null && removed.has(retryOf)) throw needed(retryOf, 'runs again what failed in job')
  const followed = state === 'running' ? after.find((other) => removed.has(other)) : undefined
  if (followed !== undefined) throw needed(followed, 'runs and follows job')
}
