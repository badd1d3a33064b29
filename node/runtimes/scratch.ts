/** A folder of this node for what its sandboxes are given, where the user they run as can read it. */

import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { TalkootError } from '../../protocol/errors.ts'

export type User = { uid: number; gid: number }

/** Followed by the node's process id. */
const FOLDER = 'talkoot-sandbox-'
/** The user `nobody`: units of a node started as root run as it. */
const UNPRIVILEGED: User = { uid: 65534, gid: 65534 }

/** The user units run as, when it is not the node's own. */
export const unitUser = (): User | undefined => (process.getuid?.() === 0 ? UNPRIVILEGED : undefined)

/** Made new, in `scratchDir` or where that is closed to the user; those of nodes that were killed go. @throws E_ROOT */
export async function makeScratch(scratchDir: string, user: User | undefined): Promise<string> {
  // A state folder is private, and root's is closed to the user units run as.
  await mkdir(scratchDir, { recursive: true, mode: 0o700 })
  const parent = user === undefined ? scratchDir : await openFolder(scratchDir)
  await removeAbandoned(parent)
  const folder = await mkdtemp(join(parent, `${FOLDER}${process.pid}-`))
  if (user !== undefined) await chmod(folder, 0o711)
  return folder
}

/** A folder for temporary files that any user can reach into, on the disk of the other if there is one. @throws E_ROOT */
async function openFolder(near: string): Promise<string> {
  const { dev } = await stat(near)
  const open: { folder: string; dev: number }[] = []
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) {
    if (await isOpenToAll(folder)) open.push({ folder, dev: (await stat(folder)).dev })
  }
  const [first] = open
  if (first !== undefined) return (open.find((one) => one.dev === dev) ?? first).folder
  throw new TalkootError('E_ROOT', 'no temporary folder can be entered by the user units run as')
}

async function isOpenToAll(folder: string): Promise<boolean> {
  const facts = await stat(folder).catch(() => undefined)
  if (facts === undefined || (facts.mode & 0o001) === 0) return false
  return folder === dirname(folder) || (await isOpenToAll(dirname(folder)))
}

/** Folders of this user's nodes that were killed before they could remove them. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(FOLDER) ? Number.parseInt(name.slice(FOLDER.length), 10) : Number.NaN
    if (!(pid > 0) || isRunning(pid) || !(await isOurs(join(parent, name)))) continue
    await removeFolder(join(parent, name)).catch(() => undefined)
  }
}

/** Also one of which an ordinary user has closed parts to itself, as images may. Idempotent. */
export async function removeFolder(folder: string): Promise<void> {
  const remove = () => rm(folder, { recursive: true, force: true })
  await remove().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error
    // Removing goes on for a moment after it has failed: what it takes meanwhile is missed.
    await promisify(execFile)('chmod', ['-R', 'u+rwX', folder]).catch(() => undefined)
    await remove()
  })
}

/** Anyone may make a folder of such a name where all can write, and lead whoever removes it elsewhere by a link. */
async function isOurs(folder: string): Promise<boolean> {
  const facts = await lstat(folder).catch(() => undefined)
  return facts?.isDirectory() === true && (process.getuid === undefined || facts.uid === process.getuid())
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
