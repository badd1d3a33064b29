/** The files a task brings, on this disk as long as its job is here. */

import type { Digest } from '../../protocol/canonical.ts'
import type { TreePart } from '../../protocol/data/point-inputs.ts'
import type { TreeRef } from '../../protocol/data/tree.ts'
import type { HeldTree } from '../store/tree-store.ts'
import type { Fetched } from './files-wait.ts'

export type FetchOptions = {
  signal: AbortSignal
  /** The tree is a part of another. */
  part?: TreePart
  /** Bytes that are here, of so many. */
  onFetched?: ((fetched: Fetched) => void) | undefined
}

/** A whole tree, from this disk or from the mesh; the caller releases it. @throws E_TREE, E_TREE_SOURCE, E_UNREACHABLE, E_DISK_* */
export type FetchTree = (from: string, tree: TreeRef, options: FetchOptions) => Promise<HeldTree>

export type HeldInputs = { trees: ReadonlyMap<Digest, HeldTree>; release(): void }

/** All or none. @throws as `FetchTree` */
export async function holdInputs(
  fetch: FetchTree,
  { from, trees }: { from: string; trees: readonly TreeRef[] },
  { signal, onFetched = () => undefined }: FetchOptions,
): Promise<HeldInputs> {
  const held = new Map<Digest, HeldTree>()
  const release = (): void => {
    for (const tree of held.values()) tree.release()
  }
  const wanted = new Map(trees.map((tree) => [tree.digest, tree]))
  const all = sumOf(wanted.values())
  let done = 0
  try {
    for (const tree of wanted.values()) {
      const before = done
      const onProgress = ({ bytes }: Fetched): void => onFetched({ bytes: before + bytes, of: all })
      onProgress({ bytes: 0, of: all })
      held.set(tree.digest, await fetch(from, tree, { signal, onFetched: onProgress }))
      done += tree.bytes
    }
    return { trees: held, release }
  } catch (error) {
    release()
    throw error
  }
}

const sumOf = (trees: Iterable<TreeRef>): number => [...trees].reduce((sum, { bytes }) => sum + bytes, 0)
