/**
 * Folders of a node started as root, shown to the user units run as, who cannot enter where they lie: the same files by hard
 * links, or copies where that is another disk.
 */

import {
  chmod,
  constants,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { User } from './scratch.ts'

/** `release` when no sandbox looks into it any more. */
export type Reached = { folder: string; release(): Promise<void> }

type Entry = { made: Promise<string>; holders: number }

export class ReachableFolders {
  readonly #place: string
  readonly #user: User | undefined
  readonly #entries = new Map<string, Entry>()

  /** `place`: a folder the user can enter. */
  constructor(init: { place: string; user: User | undefined }) {
    this.#place = init.place
    this.#user = init.user
  }

  /** Sandboxes that look into one folder share it. */
  async reach(folder: string): Promise<Reached> {
    if (this.#user === undefined) return { folder, release: async () => undefined }
    const entry = this.#entries.get(folder) ?? { made: this.#show(folder), holders: 0 }
    this.#entries.set(folder, entry)
    entry.holders += 1
    let released = false
    const release = async (): Promise<void> => {
      if (released) return
      released = true
      entry.holders -= 1
      if (entry.holders > 0) return
      this.#entries.delete(folder)
      const made = await entry.made.catch(() => null)
      if (made !== null) await rm(made, { recursive: true, force: true })
    }
    try {
      return { folder: await entry.made, release }
    } catch (error) {
      await release()
      throw error
    }
  }

  /** One that the user can enter. */
  async newFolder(): Promise<string> {
    const folder = await mkdtemp(join(this.#place, 'tree-'))
    await chmod(folder, 0o755)
    return folder
  }

  async #show(folder: string): Promise<string> {
    const shown = await this.newFolder()
    try {
      await showFolder(folder, shown)
      return shown
    } catch (error) {
      await rm(shown, { recursive: true, force: true })
      throw error
    }
  }
}

/** The same files by other names. */
export async function showFolder(from: string, to: string): Promise<void> {
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) {
      await mkdir(target)
      await showFolder(source, target)
    } else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
    else await showFile(source, target)
  }
}

/** The same file by another name. */
export async function showFile(source: string, target: string): Promise<void> {
  await link(source, target).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EXDEV' && error.code !== 'EPERM') throw error
    await copyFile(source, target, constants.COPYFILE_FICLONE)
  })
  // Whatever the umask was when they came.
  const { mode } = await stat(target)
  const wanted = (mode & 0o100) === 0 ? 0o644 : 0o755
  if ((mode & 0o777) !== wanted) await chmod(target, wanted)
}
