/** The files a job brings, where the user its units run as finds them. */

import { join } from 'node:path'
import type { Program } from '../../../protocol/command/program.ts'
import { type Tree, type TreeRef, topNames } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { ALL_FOLDER, OWN_FOLDER, PointFolder } from '../point-folder.ts'
import type { ReachableFolders, Reached } from '../reachable-folders.ts'
import type { LaidTree, SandboxInit } from '../runtime.ts'
import { INPUTS_FOLDER } from './surroundings.ts'

/** A folder of this machine, and where a unit finds it. */
export type Brought = { folder: string; at: string }

/** What all units of a job find: a folder, where that is to them, and the names in it that they find in their own. */
export type Inputs = {
  /** Each may lie in the one before. */
  mounts: readonly Brought[]
  /** Of this machine; null: they are only given files of their points. */
  folder: string | null
  at: string
  names: readonly string[]
}

/** What one unit finds beside: as above. */
export type OwnInputs = { folder: string; at: string; names: readonly string[] }

const NO_FILES: Tree = { v: 1, files: [] }

export class JobFiles {
  readonly #reachable: ReachableFolders
  readonly #trees: SandboxInit['trees']
  readonly #reached: Reached[] = []
  #points: PointFolder | undefined
  #shared: Tree = NO_FILES

  constructor(components: { reachable: ReachableFolders }, init: Pick<SandboxInit, 'trees'>) {
    this.#reachable = components.reachable
    this.#trees = init.trees
  }

  /** @throws E_INTERNAL when nobody fetched it */
  tree({ digest }: TreeRef): LaidTree {
    const tree = this.#trees?.get(digest)
    if (tree === undefined) throw new TalkootError('E_INTERNAL', 'the files of the task are not here')
    return tree
  }

  /** Null: there are none. @throws E_SOURCE when there are too many */
  async inputs({ inputs, pointInputs }: Pick<Program, 'inputs' | 'pointInputs'>): Promise<Inputs | null> {
    if (inputs !== null) this.#shared = this.tree(inputs).layout.tree
    const names = topNames(this.#shared)
    if (names.length > LIMITS.COMMAND_INPUTS_MAX) {
      throw new TalkootError('E_SOURCE', `over ${LIMITS.COMMAND_INPUTS_MAX} files and folders in the folder of a unit`)
    }
    const folder = inputs === null ? null : await this.#reach(inputs)
    if (pointInputs === undefined) {
      return folder === null ? null : { mounts: [{ folder, at: INPUTS_FOLDER }], folder, at: INPUTS_FOLDER, names }
    }
    this.#points = await PointFolder.make(this.#reachable)
    const at = `${INPUTS_FOLDER}/${ALL_FOLDER}`
    const mounts = [{ folder: this.#points.folder, at: INPUTS_FOLDER }, ...(folder === null ? [] : [{ folder, at }])]
    return { mounts, folder, at, names }
  }

  /** The files of a unit's point, until `forget`. Null: it has none. @throws E_TREE when they do not fit those of all */
  async own(unit: number, files: LaidTree | undefined): Promise<OwnInputs | null> {
    const points = this.#points
    if (points === undefined || files === undefined) return null
    const names = topNames(files.layout.tree)
    if (names.length === 0) return null
    const folder = await points.lay(unit, files, { tree: this.#shared, at: `${INPUTS_FOLDER}/${ALL_FOLDER}` })
    return { folder, at: join(INPUTS_FOLDER, OWN_FOLDER, String(unit)), names }
  }

  async forget(unit: number): Promise<void> {
    await this.#points?.remove(unit)
  }

  async brought(folders: Program['folders']): Promise<Brought[]> {
    const brought: Brought[] = []
    for (const { at, tree } of folders) brought.push({ at, folder: await this.#reach(tree) })
    return brought
  }

  async #reach(ref: TreeRef): Promise<string> {
    const reached = await this.#reachable.reach(this.tree(ref).folder)
    this.#reached.push(reached)
    return reached.folder
  }

  async release(): Promise<void> {
    await Promise.all([this.#points?.close(), ...this.#reached.map((reached) => reached.release())])
  }
}
