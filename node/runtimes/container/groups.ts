/** Control groups that containers had and nobody removed, as podman was killed. */

import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning } from '../scratch.ts'

const ROOT = '/sys/fs/cgroup'
const PREFIX = 'talkoot-'
/** The kernel takes a moment to let go of processes that were killed. */
const TRIES = 50
const TRY_MS = 20

/** One for each sandbox; the process id tells whose it was. */
export const groupName = (sandbox: string): string => `${PREFIX}${process.pid}-${sandbox}`

export async function removeGroup(name: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const left = await Promise.all((await roots()).map((root) => removeBelow(join(root, name))))
    if (left.every((gone) => gone)) return
    await sleep(TRY_MS)
  }
}

/** Those of nodes that were killed. */
export async function removeAbandonedGroups(): Promise<void> {
  for (const root of await roots()) {
    for (const name of await folders(root)) {
      const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN
      if (pid > 0 && !isRunning(pid)) await removeBelow(join(root, name))
    }
  }
}

/** That of version 2, or one for each controller of version 1. */
const roots = async (): Promise<string[]> => [ROOT, ...(await folders(ROOT)).map((name) => join(ROOT, name))]

/** Whether it is gone. */
async function removeBelow(folder: string): Promise<boolean> {
  for (const name of await folders(folder)) await removeBelow(join(folder, name))
  return await rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'EBUSY',
  )
}

async function folders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}
