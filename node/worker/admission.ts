/** Whether this machine takes a job: whose it is, what the owner allows; and what it needs, fetched. */

import { TalkootError } from '../../protocol/errors.ts'
import { decodeManifest, type JobId, type Manifest, type Policy } from '../../protocol/manifest.ts'
import { RUNTIME_KINDS } from '../../protocol/runtime-kinds.ts'
import { isSignedBy } from '../../protocol/signatures.ts'
import type { ToWorker } from '../../protocol/work.ts'
import type { Confinement } from '../runtimes/runtime.ts'
import { type FetchOptions, type FetchTree, type HeldInputs, holdInputs } from './inputs.ts'
import { type DescribeTree, openPointFiles, type PointFiles } from './point-files.ts'
import { type FetchTask, TaskShelf } from './task-shelf.ts'
import type { Needs } from './warm-shelf.ts'
import type { Submitter } from './weights.ts'

/** What the owner of this machine allows. */
export type OwnerPolicy = {
  /** Units at once. */
  slots: number
  /** Memory for all units together, MiB. */
  memoryMiB: number
  /** How units are confined here, as probed. */
  confinement: Confinement
  /** Whether strangers' work is run where confinement is only the runtime's own. */
  strangersWithoutOsSandbox: boolean
  /** Whose programs are run here beside this machine's own: members', nobody's, or those of these peers. */
  commands: 'members' | 'nobody' | readonly string[]
  /** For whom Python scripts are run here. */
  python: 'nobody' | 'members' | 'everybody'
}

/** A job whose manifest was checked and whose task is here with its files, until it is released. */
export type AdmittedJob = {
  id: JobId
  policy: Policy
  needs: Needs
  /** Of which each unit finds some; null: there are none. */
  pointFiles?: PointFiles | null
  release(): void
}

export type Introduction = Extract<ToWorker, { t: 'job' }>

type Components = {
  /** The bytes of a task, from here or from the submitter. */
  fetchTask: FetchTask
  fetchTree: FetchTree
  describeTree: DescribeTree
}

export class Admission {
  readonly #components: Components
  readonly #tasks: TaskShelf
  readonly #policy: OwnerPolicy

  constructor(components: Components, policy: OwnerPolicy) {
    this.#components = components
    this.#tasks = new TaskShelf({ fetch: components.fetchTask })
    this.#policy = policy
  }

  /** @throws coded, to be told to the submitter */
  async admit(submitter: Submitter, introduction: Introduction, options: FetchOptions): Promise<AdmittedJob> {
    const from = submitter.id
    const { id, manifest } = await checkedManifest(from, introduction)
    checkOwner(this.#policy, manifest, submitter)
    const held: { release(): void }[] = []
    const release = (): void => {
      for (const one of held) one.release()
    }
    try {
      const task = await this.#tasks.hold(from, manifest.task, options.signal)
      held.push(task)
      const { treesOf, pointInputsOf } = RUNTIME_KINDS[manifest.task.runtime]
      const inputs = await holdInputs(this.#components.fetchTree, { from, trees: treesOf(task.source) }, options)
      held.push(inputs)
      const points = pointInputsOf(task.source)
      const of = { from, isOwn: submitter.role === 'self' }
      const pointFiles = points && (await openPointFiles(this.#components, { ...of, inputs: points }, options))
      return { id, policy: manifest.policy, needs: needsOf(manifest, task.source, inputs.trees), pointFiles, release }
    } catch (error) {
      release()
      throw error
    }
  }
}

async function checkedManifest(
  from: string,
  { job, manifest: bytes, signature }: Introduction,
): Promise<{ id: JobId; manifest: Manifest }> {
  const { id, manifest } = decodeManifest(bytes)
  if (id !== job) throw new TalkootError('E_JOB_INVALID', 'the job id is not the digest of its description')
  if (manifest.submitter !== from) throw new TalkootError('E_JOB_INVALID', 'the job is another submitter’s')
  if (!(await isSignedBy(from, 'manifest', bytes, signature))) {
    throw new TalkootError('E_JOB_INVALID', 'the job is not signed by its submitter')
  }
  return { id, manifest }
}

function checkOwner(owner: OwnerPolicy, { policy, task }: Manifest, submitter: Submitter): void {
  const { role } = submitter
  const { trust } = RUNTIME_KINDS[task.runtime]
  if (role === 'worker') throw new TalkootError('E_ROLE', 'a peer of role worker may not submit work')
  if (trust === 'offered' && !mayRunPython(owner.python, submitter)) {
    throw new TalkootError('E_NATIVE_UNTRUSTED', 'the owner of this machine does not run Python of this submitter')
  }
  if (trust === 'native' && !mayRunCommands(owner.commands, submitter)) {
    throw new TalkootError('E_NATIVE_UNTRUSTED', 'the owner of this machine does not run programs of this submitter')
  }
  if (policy.cpus > owner.slots) {
    throw new TalkootError('E_OWN_LIMITS', `a unit of the job wants ${policy.cpus} cores, ${owner.slots} are offered`)
  }
  if (policy.memoryMiB > owner.memoryMiB) {
    const wanted = `a unit of the job may use ${policy.memoryMiB} MiB`
    throw new TalkootError('E_OWN_LIMITS', `${wanted}, ${owner.memoryMiB} are offered`)
  }
  if (role === 'stranger' && owner.confinement === 'runtime' && !owner.strangersWithoutOsSandbox) {
    throw new TalkootError('E_NO_OS_SANDBOX', 'strangers’ work is not run on a machine without bubblewrap')
  }
}

function mayRunPython(allowed: OwnerPolicy['python'], { role }: Submitter): boolean {
  return role === 'self' || allowed === 'everybody' || (allowed === 'members' && role !== 'stranger')
}

function mayRunCommands(allowed: OwnerPolicy['commands'], { id, role }: Submitter): boolean {
  if (role === 'self') return true
  if (typeof allowed === 'string') return allowed === 'members' && role !== 'stranger'
  return allowed.includes(id)
}

/** Units leave nothing behind in a process: jobs of one submitter that need the same may use it one after another. */
function needsOf(
  { submitter, task: { digest, runtime }, policy }: Manifest,
  source: string,
  trees: HeldInputs['trees'],
): Needs {
  const { seed, cpus, memoryMiB, timeoutMs } = policy
  return {
    key: [submitter, runtime, digest, seed, cpus, memoryMiB, timeoutMs].join(' '),
    runtime,
    init: { source, trees, seed, cpus, memoryMiB, timeoutMs },
  }
}
