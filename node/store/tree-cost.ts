/** What a tree takes of the owner's disk. */

import { newFolders } from '../../protocol/command/file-path.ts'
import { type Tree, treeBytes } from '../../protocol/data/tree.ts'
import { LIMITS } from '../../protocol/limits.ts'

/** In bytes: all of its files, whether they have come or not. Each file may lie in folders of its own. */
export function costOf(tree: Tree, description: Uint8Array): number {
  const folders = new Set<string>()
  const entries = [...tree.files, ...(tree.links ?? [])]
  for (const { path } of entries) for (const folder of newFolders(path, folders)) folders.add(folder)
  return treeBytes(tree) + description.length + (entries.length + folders.size + 1) * LIMITS.TREE_FILE_COST_BYTES
}
