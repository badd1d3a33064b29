/** A process that confines others: how it is started, and how it is ended with all below it. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import type { User } from '../scratch.ts'
import { treeOf } from './process-tree.ts'

export type StartInit = {
  line: readonly string[]
  /** Files opened for reading and handed over as descriptors from 3 on. */
  handed: readonly string[]
  /** Descriptors that lead nowhere. */
  shut: readonly number[]
  user: User | undefined
  /** Whether something is written to its standard input. */
  fed: boolean
  /** Whether there is a pipe to read from it, the descriptor after those handed over. */
  piped?: boolean
}

/** As the leader of a process group of its own. Its outputs are pipes. */
export function startProcess({ line: [file = '', ...args], handed, shut, user, fed, piped }: StartInit): ChildProcess {
  const files = handed.map((path) => openSync(path, 'r'))
  const nowhere = openSync(devNull, 'r')
  const slots: Extract<StdioOptions, readonly unknown[]> = [fed ? 'pipe' : 'ignore', 'pipe', 'pipe', ...files]
  if (piped === true) slots.push('pipe')
  // To Node, `ignore` is to leave a descriptor beyond the standard ones as it is.
  const last = Math.max(slots.length - 1, ...shut)
  for (let fd = slots.length; fd <= last; fd++) slots.push(shut.includes(fd) ? nowhere : 'ignore')
  try {
    return spawn(file, args, { cwd: '/', env: {}, stdio: slots, detached: true, ...(user ?? {}) })
  } finally {
    for (const fd of [...files, nowhere]) closeSync(fd)
  }
}

/**
 * While bubblewrap sets up, its second process does not yet die with its first, and may have left its group: it is found
 * while the first is held still, and killed before it.
 */
export function killAll(pid: number | undefined): void {
  if (pid === undefined) return
  signal(-pid, 'SIGSTOP')
  for (const below of treeOf(pid).slice(1)) signal(below, 'SIGKILL')
  signal(-pid, 'SIGKILL')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
