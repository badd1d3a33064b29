/** The files a job brings, where the user its units run as finds them. */

import type { Program } from '../../../protocol/command/program.ts'
import { type TreeRef, topNames } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { ReachableFolders, Reached } from '../reachable-folders.ts'
import type { LaidTree, SandboxInit } from '../runtime.ts'

/** A folder, and the names in it that a unit finds in its own. */
export type Inputs = { folder: string; names: readonly string[] }

/** A folder of this machine, and where a unit finds it. */
export type Brought = { folder: string; at: string }

export class JobFiles {
  readonly #reachable: ReachableFolders
  readonly #trees: SandboxInit['trees']
  readonly #reached: Reached[] = []

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

  /** @throws E_SOURCE when there are too many */
  async inputs(ref: TreeRef): Promise<Inputs> {
    const names = topNames(this.tree(ref).layout.tree)
    if (names.length > LIMITS.COMMAND_INPUTS_MAX) {
      throw new TalkootError('E_SOURCE', `over ${LIMITS.COMMAND_INPUTS_MAX} files and folders in the folder of a unit`)
    }
    return { folder: await this.#reach(ref), names }
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
    await Promise.all(this.#reached.map((reached) => reached.release()))
  }
}
