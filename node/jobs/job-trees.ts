/** The trees of the jobs that run here: kept on this disk until their job ends. */

import { type TreeRef, topNames, treeBytes } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId, TaskRef } from '../../protocol/manifest.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { TreeStore } from '../store/tree-store.ts'
import type { TreeUploads } from '../store/tree-uploads.ts'

type Components = {
  blobs: Pick<BlobStore, 'get'>
  trees: Pick<TreeStore, 'pin' | 'hold'>
  uploads: Pick<TreeUploads, 'release'>
  onError(error: unknown): void
}

/** They were looked through when they came. */
const NEVER = new AbortController().signal

export class JobTrees {
  readonly #components: Components
  readonly #pins = new Map<JobId, (() => void)[]>()

  constructor(components: Components) {
    this.#components = components
  }

  /** What its peers would look for in vain. @throws E_JOB_INVALID, E_SOURCE, E_BLOB */
  async check(task: TaskRef): Promise<void> {
    const source = this.#source(task)
    const found = new Set(RUNTIME_KINDS[task.runtime].treesOf(source).map(({ digest }) => digest))
    for (const { digest, bytes } of this.#refs(task)) {
      const held = await this.#components.trees.hold(digest, NEVER).catch((cause) => {
        throw new TalkootError('E_JOB_INVALID', 'the files of the task are not stored here: send them first', { cause })
      })
      try {
        if (!held.whole)
          throw new TalkootError('E_JOB_INVALID', 'some files of the task have not come: send them first')
        const { tree } = held.layout
        if (treeBytes(tree) !== bytes) {
          throw new TalkootError(
            'E_JOB_INVALID',
            `the task says its files have ${bytes} bytes: they have ${treeBytes(tree)}`,
          )
        }
        if (found.has(digest) && topNames(tree).length > LIMITS.COMMAND_INPUTS_MAX) {
          const most = `over ${LIMITS.COMMAND_INPUTS_MAX} files and folders in the folder of a unit`
          throw new TalkootError('E_JOB_INVALID', `${most}: put them into a folder of their own`)
        }
      } finally {
        held.release()
      }
    }
  }

  /** From now on they stay until `forget`. A job whose files are gone from the disk waits for peers that have them. */
  keep(job: JobId, task: TaskRef): void {
    const pins: (() => void)[] = []
    try {
      for (const { digest } of this.#refs(task)) {
        pins.push(this.#components.trees.pin(digest))
        this.#components.uploads.release(digest)
      }
    } catch (error) {
      this.#components.onError(error)
    }
    if (pins.length > 0) this.#pins.set(job, pins)
  }

  forget(job: JobId): void {
    for (const unpin of this.#pins.get(job) ?? []) unpin()
    this.#pins.delete(job)
  }

  /** What a task brings; nothing of one that is gone from the disk. */
  of(task: TaskRef): TreeRef[] {
    try {
      return this.#refs(task)
    } catch (error) {
      this.#components.onError(error)
      return []
    }
  }

  #refs(task: TaskRef): TreeRef[] {
    const source = this.#source(task)
    const { treesOf, pointInputsOf } = RUNTIME_KINDS[task.runtime]
    const points = pointInputsOf(source)
    return [...treesOf(source), ...(points === null ? [] : [points.tree])]
  }

  #source({ digest }: TaskRef): string {
    return new TextDecoder().decode(this.#components.blobs.get(digest))
  }
}
