/** A real worker with the real js runtime; its clock can be moved, its source of tasks looked at. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { Runtimes } from '../../node/runtimes/runtimes.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import type { FetchTree } from '../../node/worker/inputs.ts'
import type { DescribeTree } from '../../node/worker/point-files.ts'
import type { FetchTask } from '../../node/worker/task-shelf.ts'
import { Worker, type WorkerInit } from '../../node/worker/worker.ts'
import { TalkootError } from '../../protocol/errors.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { newSigner } from './submitter.ts'

export const SQUARE = 'exports.default = ({ n }) => n * n'
export const FOREVER = 'exports.default = () => { for (;;); }'

const EQUAL = { self: 1, member: 1, stranger: 1, peers: {} }

export class Workshop {
  readonly runtime: Runtime
  readonly commands: Runtime
  readonly trees: TreeStore
  readonly #folder: string
  readonly #workers: Worker[] = []
  /** What tasks there are to fetch, by digest. */
  readonly sources = new Map<string, string>()
  readonly errors: unknown[] = []
  /** Slot time peers have done for the workers, milliseconds. */
  readonly done = new Map<string, number>()
  /** Milliseconds by which the clock is ahead. */
  ahead = 0

  /** Of all its workers. */
  readonly signer: Signer

  private constructor(folder: string, signer: Signer) {
    this.#folder = folder
    this.signer = signer
    this.runtime = createJsRuntime({ scratchDir: folder })
    this.commands = createCommandRuntime({ scratchDir: folder })
    this.trees = new TreeStore({ folder: join(folder, 'trees'), budgetBytes: 2 ** 24 })
  }

  static async open(): Promise<Workshop> {
    return new Workshop(await mkdtemp(join(tmpdir(), 'talkoot-worker-')), await newSigner())
  }

  async worker(
    policy: Partial<WorkerInit> = {},
    fetchTask: FetchTask = async (_, digest) => {
      const source = this.sources.get(digest)
      if (source === undefined) throw new TalkootError('E_BLOB', 'the peer does not have the bytes')
      return Buffer.from(source)
    },
    fetchTree: FetchTree = async () => {
      throw new TalkootError('E_BLOB', 'the peer does not have the files')
    },
    describeTree: DescribeTree = async () => {
      throw new TalkootError('E_NOT_FOUND', 'the peer does not have the files')
    },
  ): Promise<Worker> {
    const worker = new Worker(
      {
        runtimes: new Runtimes({ js: this.runtime, command: this.commands }),
        signer: this.signer,
        fetchTask,
        fetchTree,
        describeTree,
        trees: this.trees,
        now: () => performance.now() + this.ahead,
        runtimeVersion: () => '1',
        isBlocked: () => false,
        doneFor: (peer) => this.done.get(peer) ?? 0,
        random: () => 0.5,
        onError: (error) => this.errors.push(error),
      },
      {
        slots: 1,
        memoryMiB: 1_024,
        confinement: 'os',
        strangersWithoutOsSandbox: false,
        python: 'nobody',
        shares: EQUAL,
        commands: 'members',
        ...policy,
      },
    )
    this.#workers.push(worker)
    worker.start()
    return worker
  }

  /** Workers of one test. */
  async stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.stop()))
    this.ahead = 0
    this.errors.length = 0
  }

  async close(): Promise<void> {
    await this.stopWorkers()
    await Promise.all([this.runtime.stop(), this.commands.stop()])
    await rm(this.#folder, { recursive: true, force: true })
  }
}
