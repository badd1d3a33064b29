/** Files that units of one sandbox wrote: taken from it within bounds, checked, and kept as trees of this node. */

import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { filePathFault, newFolders } from '../../protocol/command/file-path.ts'
import { type TreeRef, treeBytes } from '../../protocol/data/tree.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { onFile } from '../files/file-error.ts'
import type { UnitFile } from '../runtimes/runtime.ts'
import type { HeldTree, TreeStore } from '../store/tree-store.ts'

export type FileKeeper = Pick<TreeStore, 'newFolder' | 'take'>

export class UnitFiles {
  readonly #trees: FileKeeper
  readonly #kept = new Map<number, HeldTree>()

  constructor(components: { trees: FileKeeper }) {
    this.#trees = components.trees
  }

  /** @throws E_TREE for names, numbers and sizes beyond what a unit may leave; E_DISK_*; what the files throw */
  async keep(unit: number, files: AsyncIterable<UnitFile>, signal: AbortSignal): Promise<TreeRef> {
    const folder = this.#trees.newFolder()
    try {
      await writeAll(folder, files, signal)
      const held = await this.#trees.take(folder, signal)
      this.#kept.get(unit)?.release()
      this.#kept.set(unit, held)
      return { digest: held.digest, bytes: treeBytes(held.layout.tree) }
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Of units that were cut off. */
  clear(): void {
    for (const held of this.#kept.values()) held.release()
    this.#kept.clear()
  }

  /** From now on they are the caller's to release. */
  take(unit: number): HeldTree | undefined {
    const held = this.#kept.get(unit)
    this.#kept.delete(unit)
    return held
  }
}

async function writeAll(folder: string, files: AsyncIterable<UnitFile>, signal: AbortSignal): Promise<void> {
  let count = 0
  const folders = new Set<string>()
  let room: number = LIMITS.UNIT_FILES_MAX_BYTES
  for await (const { path, bytes, executable, content } of files) {
    signal.throwIfAborted()
    const fault = filePathFault(path)
    // As JSON: a name may hold what must not reach a terminal.
    if (fault !== null) throw refused(`${JSON.stringify(path.slice(0, 200))} ${fault}`)
    count += 1
    if (count > LIMITS.UNIT_FILES_MAX) throw refused(`it left over ${LIMITS.UNIT_FILES_MAX} files`)
    room -= bytes
    if (room < 0) throw refused(`it left over ${LIMITS.UNIT_FILES_MAX_BYTES} bytes of files`)
    for (const parent of newFolders(path, folders)) folders.add(parent)
    if (folders.size > LIMITS.TREE_FOLDERS_MAX) throw refused(`they lie in over ${LIMITS.TREE_FOLDERS_MAX} folders`)
    const file = join(folder, path)
    await onFile(file, () => mkdir(dirname(file), { recursive: true, mode: 0o700 }))
    // There is nothing yet that it could write over or follow.
    const handle = await onFile(file, () => open(file, 'wx', executable ? 0o700 : 0o600)).catch((error: unknown) => {
      throw TalkootError.from(error).code === 'E_FILE' ? refused(`${JSON.stringify(path)} is there twice`) : error
    })
    await copy(handle, content)
  }
}

async function copy(handle: FileHandle, content: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const part of content) await onFile('a file of a unit', () => handle.writeFile(part))
  } finally {
    await handle.close()
  }
}

const refused = (why: string): TalkootError => new TalkootError('E_TREE', why)
