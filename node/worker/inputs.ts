/** The files a task brings, on this disk as long as its job is here. */

import type { Digest } from '../../protocol/canonical.ts'
import type { TreeRef } from '../../protocol/data/tree.ts'
import type { HeldTree } from '../store/tree-store.ts'

/** A whole tree, from this disk or from the mesh; the caller releases it. @throws E_BLOB, E_UNREACHABLE, E_TREE, E_DISK_* */
export type FetchTree = (from: string, tree: TreeRef, signal: AbortSignal) => Promise<HeldTree>

export type HeldInputs = { trees: ReadonlyMap<Digest, HeldTree>; release(): void }

/** All or none. @throws as `FetchTree` */
export async function holdInputs(
  fetch: FetchTree,
  { from, trees }: { from: string; trees: readonly TreeRef[] },
  signal: AbortSignal,
): Promise<HeldInputs> {
  const held = new Map<Digest, HeldTree>()
  const release = (): void => {
    for (const tree of held.values()) tree.release()
  }
  try {
    for (const tree of trees) if (!held.has(tree.digest)) held.set(tree.digest, await fetch(from, tree, signal))
    return { trees: held, release }
  } catch (error) {
    release()
    throw error
  }
}
