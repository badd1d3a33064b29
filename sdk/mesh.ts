/** The mesh as a scientist sees it: through the node of this machine. */

import {
  API,
  blobStoredSchema,
  type JobRequest,
  type JobSummary,
  jobInfoSchema,
  jobsSchema,
  type RetryRequest,
  type Status,
  statusSchema,
} from '../protocol/api.ts'
import { type Peers, peersSchema } from '../protocol/api-peers.ts'
import { digestOf, type Json } from '../protocol/canonical.ts'
import { TalkootError } from '../protocol/errors.ts'
import { faultText } from '../protocol/fault-text.ts'
import type { Policy } from '../protocol/manifest.ts'
import { evidenceSchema, type PeerEvidence } from '../protocol/peer-credit.ts'
import { type PeerVerdict, peerRulesSchema, type RuleRequest } from '../protocol/peer-rules.ts'
import { type Plan, type PlanRequest, planSchema } from '../protocol/plan.ts'
import { compileSweep } from '../protocol/sweep/generator.ts'
import { type Sweep as SweepData, sweepSchema } from '../protocol/sweep/schema.ts'
import { bundleTask } from './bundle.ts'
import { Client, type ConnectOptions } from './client.ts'
import type { ReadOptions } from './inputs.ts'
import { Job } from './job.ts'
import { type LocalOptions, startLocalNodes } from './local.ts'
import { type MapOptions, policyOf, policyOver } from './policy.ts'
import type { Sweep } from './sweep.ts'
import type { Task } from './task.ts'
import type { TaskAt } from './task-at.ts'
import type { BundleContext, ProgramTask, TaskBundle } from './task-bundle.ts'
import { uploadTree } from './upload.ts'

/** A peer, or all peers of an operator. */
export type Whom = string | { readonly operator: string }

export class Mesh implements AsyncDisposable {
  readonly #client: Client
  readonly #close: () => Promise<void>

  /** Use `Mesh.connect` or `Mesh.local`. */
  constructor(client: Client, close: () => Promise<void>) {
    this.#client = client
    this.#close = close
  }

  /**
   * Through the node that runs on this machine: that of this user, of the state folder `home`, or at `url`.
   * @throws E_NOT_RUNNING, E_UNAUTHORIZED
   */
  static async connect(options: ConnectOptions = {}): Promise<Mesh> {
    const mesh = new Mesh(new Client(options), async () => undefined)
    await mesh.status()
    return mesh
  }

  /** Nodes of one mesh inside this process, for tests and first steps; disposing of it stops them. */
  static async local(options: LocalOptions = {}): Promise<Mesh> {
    const { address, stop } = await startLocalNodes(options)
    return new Mesh(new Client(address), stop)
  }

  /**
   * Runs the task on every point of the sweep.
   * `task` is an imported `defineTask` object with its `url`, a `taskAt`, a `command`, `container`, `python`, `wasm` or `wasi`, or the URL or path of a module: only
   * the last gives results without types. Leaving the scope of `await using` cancels a job that still runs.
   * @throws E_TASK_*, E_SWEEP_*, E_JOB_INVALID, and E_JOB_UNPLACEABLE with `meta.clauses` if no known peer can run it
   */
  map<Params, Value>(
    task: Task<Params, Value> | TaskAt<Params, Value>,
    sweep: Sweep<NoInfer<Params>>,
    options?: MapOptions,
  ): Promise<Job<Params, Value>>
  map<Needs, Params extends Needs, Value>(
    task: ProgramTask<Needs, Value>,
    sweep: Sweep<Params>,
    options?: MapOptions,
  ): Promise<Job<Params, Value>>
  map<Params>(task: URL | string, sweep: Sweep<Params>, options?: MapOptions): Promise<Job<Params, Json>>
  map<Params>(
    task: ProgramTask<Params, Json> | URL | string,
    sweep: Sweep<Params>,
    options?: MapOptions,
  ): Promise<Job<Params, Json>>
  async map<Params>(
    task: AnyTask<Params>,
    sweep: Sweep<Params>,
    options: MapOptions = {},
  ): Promise<Job<Params, unknown>> {
    const { name, queue = false, after = [], signal } = options
    const { bundle, ...described } = await this.#describe(task, sweep, options)
    await this.#send(bundle, options)
    const body: JobRequest = {
      task: bundle.ref,
      ...described,
      after: after.map(idOf),
      ...(name === undefined ? {} : { name }),
    }
    const query = { queue: String(queue) }
    const { id } = await this.#client.request(API.jobs, jobInfoSchema, { method: 'POST', query, body, signal })
    return new Job({ client: this.#client }, { id, onDispose: 'cancel', signal })
  }

  /**
   * Runs the units of a job again that have failed by now, under the numbers they have there, as a new job: with its sweep, and its
   * task and policy but for what is given here. `results({ all: true })` of it reads both together.
   * @throws E_NOT_FOUND, E_JOB_INVALID when none has failed, and as `map`
   */
  async retryFailed<Params, Value>(
    job: Job<Params, Value> | string,
    { task, ...options }: MapOptions & { task?: AnyTask<NoInfer<Params>> } = {},
  ): Promise<Job<Params, Value>> {
    const { name, queue = false, after = [], signal } = options
    const id = typeof job === 'string' ? job : job.id
    const { policy, sweep } = await this.#client.request(API.job(id), jobInfoSchema, { signal })
    const bundle = task === undefined ? undefined : await bundleOf(task, sweep, rowsElsewhere, options)
    if (bundle !== undefined) await this.#send(bundle, options)
    const body: RetryRequest = {
      policy: policyOver(policy, options),
      after: after.map(idOf),
      ...(bundle === undefined ? {} : { task: bundle.ref }),
      ...(name === undefined ? {} : { name }),
    }
    const query = { queue: String(queue) }
    const info = await this.#client.request(API.jobRetry(id), jobInfoSchema, { method: 'POST', query, body, signal })
    return new Job({ client: this.#client }, { id: info.id, onDispose: 'cancel', signal })
  }

  /**
   * What would become of such a job: who could run it, what keeps others out and how far they are from it, how many
   * executions, how long. `unitMs`: what one unit takes on a machine of speed 1; without it, what units of the task took
   * the last time. Nothing is run.
   */
  async plan<Params>(
    task: AnyTask<Params>,
    sweep: Sweep<Params>,
    options: MapOptions & { unitMs?: number } = {},
  ): Promise<Plan> {
    const { unitMs = null, ...rest } = options
    const { bundle, ...described } = await this.#describe(task, sweep, rest)
    const { digest, runtime } = bundle.ref
    const body: PlanRequest = { task: digest, runtime, ...described, unitMs }
    return this.#client.request(API.plan, planSchema, { method: 'POST', body, signal: options.signal })
  }

  /** A job submitted before, by its id or a unique prefix. Leaving its scope does not cancel it. @throws E_NOT_FOUND */
  async attach<Params = Record<string, Json>, Value = Json>(id: string): Promise<Job<Params, Value>> {
    const info = await this.#client.request(API.job(id), jobInfoSchema)
    return new Job({ client: this.#client }, { id: info.id, onDispose: 'leave' })
  }

  /** Newest first. */
  async jobs(): Promise<JobSummary[]> {
    return (await this.#client.request(API.jobs, jobsSchema)).jobs
  }

  /** Peers known, this node among them, and who was turned away. */
  peers(): Promise<Peers> {
    return this.#client.request(API.peers, peersSchema)
  }

  /**
   * Gives no work to a peer, or to all of an operator, and takes none from it, from now on and after restarts; what it has
   * goes to others. By name, id or the end of an id.
   * @throws E_NOT_FOUND, E_USAGE
   */
  async block(whom: Whom, { reason = '' }: { reason?: string } = {}): Promise<void> {
    await this.#setRule(whom, { verdict: 'blocked', reason })
  }

  /** @throws E_NOT_FOUND when it is not blocked */
  async unblock(whom: Whom): Promise<void> {
    await this.#clearRule(whom, 'blocked')
  }

  /** Believes a stranger as far as a member of the mesh; what it may do here stays the same. @throws E_NOT_FOUND, E_USAGE */
  async trust(whom: Whom, { reason = '' }: { reason?: string } = {}): Promise<void> {
    await this.#setRule(whom, { verdict: 'trusted', reason })
  }

  /** @throws E_NOT_FOUND when it is not trusted */
  async untrust(whom: Whom): Promise<void> {
    await this.#clearRule(whom, 'trusted')
  }

  /** All that this node keeps of what it has seen of peers, connected or not. */
  evidence(): Promise<PeerEvidence> {
    return this.#client.request(API.evidence, evidenceSchema)
  }

  status(): Promise<Status> {
    return this.#client.request(API.status, statusSchema)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  async #setRule(whom: Whom, body: RuleRequest): Promise<void> {
    await this.#client.request(rulePath(whom), peerRulesSchema, { method: 'PUT', body })
  }

  async #clearRule(whom: Whom, verdict: PeerVerdict): Promise<void> {
    await this.#client.request(rulePath(whom), peerRulesSchema, { method: 'DELETE', query: { verdict } })
  }

  async #describe<Params>(
    task: AnyTask<Params>,
    sweep: Sweep<Params>,
    options: MapOptions,
  ): Promise<{ bundle: TaskBundle } & Pick<JobRequest, 'sweep'> & { policy: Policy }> {
    const { signal } = options
    signal?.throwIfAborted()
    const rows = new Map<string, Uint8Array>()
    const data = sweepSchema.safeParse(
      await sweep.toData(async (bytes) => {
        const digest = await this.#store(bytes, signal)
        rows.set(digest, bytes)
        return digest
      }),
    )
    if (!data.success) throw new TalkootError('E_SWEEP_INVALID', faultText(data.error))
    const bundle = await bundleOf(task, data.data, (digest) => rows.get(digest) ?? rowsElsewhere(), options)
    return { bundle, sweep: data.data, policy: policyOf(options, bundle.agreement) }
  }

  async #send({ source, trees }: TaskBundle, options: MapOptions): Promise<void> {
    await this.#store(source, options.signal)
    for (const tree of trees) await uploadTree(this.#client, tree, readOptions(options, 'sending'))
  }

  async #store(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<string> {
    const digest = digestOf(bytes)
    const body = new Uint8Array(bytes)
    await this.#client.request(API.blob(digest), blobStoredSchema, { method: 'PUT', body, signal })
    return digest
  }
}

type ModuleTask<Params> = Task<Params, unknown> | TaskAt<Params, unknown> | URL | string
type AnyTask<Params> = ModuleTask<Params> | ProgramTask<Params, unknown>

const isProgram = <Params>(task: AnyTask<Params>): task is ProgramTask<Params, unknown> =>
  typeof task === 'object' && 'bundle' in task

const rulePath = (whom: Whom): string =>
  typeof whom === 'string' ? API.peerRule(whom) : API.operatorRule(whom.operator)

const idOf = (job: string | { readonly id: string }): string => (typeof job === 'string' ? job : job.id)

async function bundleOf<Params>(
  task: AnyTask<Params>,
  sweep: SweepData,
  rows: (digest: string) => Uint8Array,
  options: MapOptions,
): Promise<TaskBundle> {
  if (!isProgram(task)) return await bundleTask(moduleOf(task))
  const points = () => compileSweep(sweep, rows)
  return await task.bundle({ points, ...readOptions(options, 'reading') } satisfies BundleContext)
}

const rowsElsewhere = (): never => {
  throw new TalkootError('E_INPUT', 'the rows of the sweep are not here to name files by: name their folder')
}

const readOptions = ({ signal, onInputs }: MapOptions, step: 'reading' | 'sending'): ReadOptions => ({
  signal: signal ?? new AbortController().signal,
  ...(onInputs === undefined ? {} : { onProgress: (done, of) => onInputs({ step, done, of }) }),
})

function moduleOf(task: ModuleTask<never>): URL | string {
  if (typeof task === 'string' || task instanceof URL) return task
  if (task.url !== undefined) return task.url
  throw new TalkootError(
    'E_TASK_INVALID',
    'the task does not know its module: defineTask({ url: import.meta.url, ... })',
  )
}
