/** A sandbox of any kind that runs in Deno, with the files its job brings: its processes may read those, and nothing else of this disk. */

import { join } from 'node:path'
import { sandboxInputs } from '../../../protocol/data/sandbox-inputs.ts'
import type { Tree } from '../../../protocol/data/tree.ts'
import { RUNTIME_KINDS } from '../../../protocol/runtime-kinds.ts'
import { ALL_FOLDER, OWN_FOLDER, PointFolder } from '../point-folder.ts'
import type { SandboxComponents } from '../prepared-runtime.ts'
import { type Reached, showFolder } from '../reachable-folders.ts'
import type { SandboxInit, UnitInput } from '../runtime.ts'
import type { Given, SandboxedKind } from './frames.ts'
import { planLaunch, type ShownFolder, seenFolder } from './launch.ts'
import type { PreparedJs } from './prepare.ts'
import { JsSandbox } from './sandbox.ts'
import { Session } from './session.ts'

/** What is shown of this disk, and the files of all units as they are seen; nothing, where there are none. */
type Shown = { folder: ShownFolder | null; given: Given | undefined }

export function openJsSandbox(
  kind: SandboxedKind,
  { prepared, onClosed }: SandboxComponents<PreparedJs>,
  job: SandboxInit,
): JsSandbox {
  const files = new SandboxFiles(kind, job)
  const openSession = async (): Promise<Session> => {
    const ready = await prepared()
    const { folder: shown, given } = await files.show(ready)
    const plan = planLaunch(ready.facts, job.memoryMiB, kind, shown)
    return new Session({ ...job, kind, plan, folder: ready.folder, ...(given === undefined ? {} : { given }) })
  }
  const release = async (sandbox: JsSandbox): Promise<void> => {
    await files.release()
    onClosed(sandbox)
  }
  const give = async (unit: UnitInput): Promise<Given | undefined> => await files.give(await prepared(), unit)
  return new JsSandbox({ openSession, give, forget: (unit) => files.forget(unit), onClosed: release }, job)
}

class SandboxFiles {
  readonly #kind: SandboxedKind
  readonly #job: SandboxInit
  #shared: Promise<Reached> | undefined
  #points: Promise<PointFolder> | undefined
  /** Whether units are given files of their points. */
  #differ: boolean | undefined

  constructor(kind: SandboxedKind, job: SandboxInit) {
    this.#kind = kind
    this.#job = job
  }

  async show({ facts, inputs }: PreparedJs): Promise<Shown> {
    // No such task names more than one.
    const [tree] = this.#job.trees?.values() ?? []
    const files = tree === undefined ? [] : filesOf(tree.layout.tree)
    if (tree !== undefined) this.#shared ??= inputs.reach(tree.folder)
    const shared = (await this.#shared)?.folder ?? null
    const points = await this.#pointFolder({ facts, inputs }, shared)
    if (points === undefined) {
      if (shared === null) return { folder: null, given: undefined }
      return { folder: { folder: shared }, given: { folder: seenFolder(facts, shared), files } }
    }
    const within = shared === null ? [] : [[shared, ALL_FOLDER] as const]
    const given = { folder: join(seenFolder(facts, points.folder), ALL_FOLDER), files }
    return { folder: { folder: points.folder, within }, given }
  }

  /** Undefined: it has none. @throws E_TREE */
  async give(ready: PreparedJs, { unit, files: own }: UnitInput): Promise<Given | undefined> {
    const { facts } = ready
    if (own === undefined) return undefined
    // It may come before the first process.
    if (this.#points === undefined) await this.show(ready)
    const points = await this.#points
    if (points === undefined) return undefined
    const files = filesOf(own.layout.tree)
    await points.lay(unit, own, null)
    return { folder: join(seenFolder(facts, points.folder), OWN_FOLDER, String(unit)), files }
  }

  async forget(unit: number): Promise<void> {
    await (await this.#points)?.remove(unit)
  }

  async release(): Promise<void> {
    await (await this.#shared?.catch(() => undefined))?.release()
    await (await this.#points?.catch(() => undefined))?.close()
  }

  /** Undefined: units of this task are given the same. */
  async #pointFolder(
    { facts, inputs }: Pick<PreparedJs, 'facts' | 'inputs'>,
    shared: string | null,
  ): Promise<PointFolder | undefined> {
    this.#differ ??= bringsPointInputs(this.#kind, this.#job.source)
    if (!this.#differ) return undefined
    this.#points ??= PointFolder.make(inputs).then(async (made) => {
      // Without bubblewrap nothing can be mounted there.
      if (shared !== null && facts.bwrap === undefined) await showFolder(shared, join(made.folder, ALL_FOLDER))
      return made
    })
    return await this.#points
  }
}

/** @throws E_TREE */
const filesOf = (tree: Tree): Given['files'] =>
  sandboxInputs(tree).map(({ path, bytes, executable }) => [path, bytes, executable] as const)

/** What is wrong with a source its process tells. */
function bringsPointInputs(kind: SandboxedKind, source: string): boolean {
  try {
    return RUNTIME_KINDS[kind].pointInputsOf(source) !== null
  } catch {
    return false
  }
}
