/** What a tree takes of the owner's disk. */

import { readFileSync } from 'node:fs'
import { decodeTree, type Tree, treeBytes } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'

/** In bytes: all of its files, whether they have come or not. Each file may lie in folders of its own. */
export function costOf(tree: Tree, description: Uint8Array): number {
  const folders = new Set<string>()
  for (const { path } of tree.files) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at))
  }
  return treeBytes(tree) + description.length + (tree.files.length + folders.size + 1) * LIMITS.TREE_FILE_COST_BYTES
}

/** Of a tree on the disk; null when its description was damaged. */
export function costKept(file: string): number | null {
  const description = readFileSync(file)
  try {
    return costOf(decodeTree(description), description)
  } catch (error) {
    if (error instanceof TalkootError) return null
    throw error
  }
}
