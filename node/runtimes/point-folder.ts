/**
 * A folder of one sandbox, in which a unit finds the files of its point while it runs: the same files as in the store, by second
 * names. What all units find is mounted in it, or laid there, in a folder of its own.
 */

import { chmod, mkdir, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newFolders } from '../../protocol/command/file-path.ts'
import type { Tree } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { type ReachableFolders, showFile } from './reachable-folders.ts'
import type { LaidTree } from './runtime.ts'

/** What is there for all units, and in a folder by its number, for one. */
export const ALL_FOLDER = 'all'
export const OWN_FOLDER = 'own'

/** Files of all units, and where a unit finds them. */
type Shared = { tree: Tree; at: string }

export class PointFolder {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(reachable: Pick<ReachableFolders, 'newFolder'>): Promise<PointFolder> {
    const made = new PointFolder(await reachable.newFolder())
    for (const name of [ALL_FOLDER, OWN_FOLDER]) await openFolder(join(made.folder, name))
    return made
  }

  /**
   * Where a folder has files of all units too, they are beside its own by links.
   * @throws E_TREE when they do not fit together
   */
  async lay(unit: number, { folder: from, layout }: LaidTree, shared: Shared | null): Promise<string> {
    const to = join(this.folder, OWN_FOLDER, String(unit))
    const { files } = layout.tree
    const folders = new Set<string>()
    for (const { path } of files) for (const folder of newFolders(path, folders)) folders.add(folder)
    const links = shared === null ? [] : linksBeside(shared, { files: new Set(files.map(({ path }) => path)), folders })
    await rm(to, { recursive: true, force: true })
    await openFolder(to)
    // Before those that lie in them.
    for (const folder of [...folders].sort()) await openFolder(join(to, folder))
    for (const { path } of files) await showFile(join(from, path), join(to, path))
    for (const [path, target] of links) await symlink(target, join(to, path))
    return to
  }

  async remove(unit: number): Promise<void> {
    await rm(join(this.folder, OWN_FOLDER, String(unit)), { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Whatever the umask. */
async function openFolder(folder: string): Promise<void> {
  await mkdir(folder)
  await chmod(folder, 0o755)
}

type Own = { files: ReadonlySet<string>; folders: ReadonlySet<string> }

/** What of the shared files lies in folders that a unit has of its own: the topmost of each that it has not. */
function linksBeside({ tree: { files, links = [] }, at }: Shared, own: Own): Map<string, string> {
  const found = new Map<string, string>()
  if (own.folders.size === 0) return found
  for (const { path } of [...files, ...links]) {
    if (own.folders.has(path)) throw new TalkootError('E_TREE', `${path} is a file, and a folder of the unit's own`)
    const above = [...newFolders(path, new Set())].reverse()
    const first = [...above, path].find((one) => !own.folders.has(one)) ?? path
    if (own.folders.has(dirname(first)) && !own.files.has(first)) found.set(first, `${at}/${first}`)
  }
  return found
}
