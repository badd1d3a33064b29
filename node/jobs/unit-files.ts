/**
 * Files of units, fetched from the worker that wrote them before its word counts: a unit is never accepted without them.
 * They are kept beside the ledger, out of the budget of what is kept for others, as long as an accepted unit needs them.
 */

import { setImmediate } from 'node:timers/promises'
import type { Digest } from '../../protocol/canonical.ts'
import { type Tree, type TreeRef, treeBytes } from '../../protocol/data/tree.ts'
import { filesOf } from '../../protocol/data/unit-files.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { JobId, TaskRef } from '../../protocol/manifest.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { HeldTree, TreeStore } from '../store/tree-store.ts'
import type { UnitFileRefs } from '../store/unit-file-refs.ts'
import type { FetchTree } from '../worker/inputs.ts'
import { LooseFiles } from './loose-files.ts'
import type { AttemptEnd } from './scheduler/events.ts'

type Components = {
  blobs: Pick<BlobStore, 'get'>
  /** Of this node's own jobs. */
  unitTrees: Pick<TreeStore, 'begin' | 'free' | 'drop' | 'digests'>
  /** Trees that accepted units name. */
  named: Pick<UnitFileRefs, 'has'>
  fetchTree: FetchTree
  onError(error: unknown): void
}

/** Whose files they are. */
type Of = {
  job: JobId
  task: TaskRef
  /** Whether the attempt would count: no more once the peer has told of another. */
  isAwaited(): boolean
}

type GoodEnd = Extract<AttemptEnd, { ok: true }>

export class UnitFilesOfJobs {
  readonly loose: LooseFiles
  readonly #components: Components
  /** Whether units of a task leave files. */
  readonly #leave = new Map<Digest, boolean>()
  /** Of each peer, whose files come one after the other: how many ends wait, and the last of them. */
  readonly #queues = new Map<string, { length: number; last: Promise<AttemptEnd> | null }>()
  /** Of files that are on their way, bytes. */
  #coming = 0
  readonly #stopping = new AbortController()

  constructor(components: Components) {
    const { unitTrees, named, onError } = components
    this.#components = components
    this.loose = new LooseFiles({ trees: unitTrees, named, onError })
  }

  /** The end when its files are here, or the failure it is without them; null: it has none. Never rejects. */
  fetch(from: string, of: Of, end: AttemptEnd): Promise<AttemptEnd> | null {
    return end.ok && this.#leaveFiles(of.task) ? this.#inTurn(from, of, end) : null
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TalkootError('E_UNREACHABLE', 'this node stops'))
    await this.loose.stop()
  }

  async #inTurn(from: string, of: Of, end: GoodEnd): Promise<AttemptEnd> {
    const queue = this.#queues.get(from) ?? { length: 0, last: null }
    if (queue.length >= LIMITS.UNIT_FETCHES_PER_PEER_MAX) {
      return without(end, new TalkootError('E_OUTPUT_LOST', 'the worker has told of too many before'))
    }
    this.#queues.set(from, queue)
    queue.length += 1
    const before = queue.last
    const fetch = () => this.#fetched(from, of, end)
    // In a turn of its own: by then what came before has been heard.
    queue.last = before === null ? fetch() : before.then(() => setImmediate()).then(fetch)
    const fetched = await queue.last
    queue.length -= 1
    if (queue.length === 0) this.#queues.delete(from)
    return fetched
  }

  /** Never rejects. */
  async #fetched(from: string, { job, isAwaited }: Of, end: GoodEnd): Promise<AttemptEnd> {
    try {
      if (!isAwaited()) throw new TalkootError('E_OUTPUT_LOST', 'the worker has told of the unit before')
      const files = filesOf(JSON.parse(end.value))
      if (files === null) throw new TalkootError('E_OUTPUT_LOST', 'the worker told of no files')
      this.#stopping.signal.throwIfAborted()
      this.#checkRoom(files)
      await this.#fetchAll(from, files)
      this.loose.came(job, end.unit, files.digest)
      return end
    } catch (thrown) {
      return without(end, TalkootError.from(thrown))
    }
  }

  async #fetchAll(from: string, files: TreeRef): Promise<void> {
    const late = AbortSignal.timeout(LIMITS.UNIT_FILES_FETCH_TIMEOUT_MS)
    const signal = AbortSignal.any([late, this.#stopping.signal])
    this.#coming += files.bytes
    this.loose.expect(files.digest)
    try {
      const held = await this.#components.fetchTree(from, files, { signal })
      try {
        checkTree(held.layout.tree, files)
        await this.#keep(held, signal)
      } finally {
        held.release()
      }
    } catch (error) {
      this.loose.failed(files.digest)
      throw error
    } finally {
      this.#coming -= files.bytes
    }
  }

  /** @throws E_DISK_FULL */
  #checkRoom({ bytes }: TreeRef): void {
    const left = this.#components.unitTrees.free - this.#coming - bytes
    if (left < LIMITS.DISK_RESERVE_MIB * 2 ** 20) {
      throw new TalkootError('E_DISK_FULL', 'the disk of the submitter is nearly full: remove jobs it needs no more')
    }
  }

  async #keep(held: HeldTree, signal: AbortSignal): Promise<void> {
    const own = await this.#components.unitTrees.begin(held.description, signal)
    try {
      for (const chunk of [...own.missing()]) await own.write(chunk, await held.read(chunk))
    } finally {
      own.release()
    }
  }

  #leaveFiles({ runtime, digest }: TaskRef): boolean {
    const known = this.#leave.get(digest)
    if (known !== undefined) return known
    const leaves = RUNTIME_KINDS[runtime].leavesFiles(new TextDecoder().decode(this.#components.blobs.get(digest)))
    this.#leave.set(digest, leaves)
    return leaves
  }
}

/** The failure that an end is whose files are not here. A disk that is full is this node's, and no fault of the worker. */
function without({ unit }: GoodEnd, error: TalkootError): AttemptEnd {
  const message = `its files could not be fetched: ${error.message}`.slice(0, LIMITS.UNIT_ERROR_MAX_CHARS)
  if (error.code.startsWith('E_DISK_')) return { unit, ok: false, code: error.code, message, blame: 'data' }
  return { unit, ok: false, code: 'E_OUTPUT_LOST', message, blame: 'machine' }
}

/** A worker's own collector would have refused it. @throws E_OUTPUT_LOST */
function checkTree(tree: Tree, { bytes }: TreeRef): void {
  const lie = tree.links !== undefined || tree.files.length > LIMITS.UNIT_FILES_MAX || treeBytes(tree) !== bytes
  if (lie) throw new TalkootError('E_OUTPUT_LOST', 'the files are not such as a unit may leave')
}
