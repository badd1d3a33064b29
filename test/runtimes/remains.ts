/** What is left of sandboxes: processes and folders of a node. */

import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'

/** Of one node: others may run on this machine. Those of a root's node are where any user can reach into. */
export async function sandboxFolders(scratchDir: string, pid: number | undefined): Promise<string[]> {
  const names = await Promise.all([scratchDir, tmpdir()].map((folder) => readdir(folder)))
  return names.flat().filter((name) => name.startsWith(`talkoot-sandbox-${pid}-`))
}

export async function descendantsOf(pid: number | undefined): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const pids = children.trim().split(' ').filter(Boolean).map(Number)
  const deeper = await Promise.all(pids.map((child) => descendantsOf(child)))
  return [...pids, ...deeper.flat()]
}

/** Whatever is a zombie is dead. */
export async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX')
  return !/^State:\t[ZX]/m.test(status)
}
