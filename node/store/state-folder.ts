/** The folder a node keeps its state in: private to its user, held by one process at a time. */

import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { TalkootError } from '../../protocol/errors.ts'

type StateFolder = { readonly path: string; release(): void }

/**
 * Creates the folder if need be and takes it for this process until `release`, or until the process ends in any
 * way: the lock is the operating system's, on an SQLite file, so a `kill -9` leaves nothing to clean up.
 * @throws E_ALREADY_RUNNING naming the process that holds it, E_STATE_UNSAFE when others could write to it
 */
export function takeStateFolder(path: string): StateFolder {
  makePrivateFolder(path)
  const pidFile = join(path, 'node.pid')
  const lock = new DatabaseSync(join(path, 'node.lock'))
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    const holder = readPid(pidFile)
    const who = holder === null ? 'another process' : `process ${holder}`
    throw new TalkootError('E_ALREADY_RUNNING', `${who} already runs a node on ${path}`, {
      cause,
      meta: { folder: path, pid: holder },
    })
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  let held = true
  return {
    path,
    release() {
      if (held) lock.close()
      held = false
    },
  }
}

function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const facts = statSync(path)
  const me = process.getuid?.()
  if (me === undefined) return
  if (facts.uid !== me) throw new TalkootError('E_STATE_UNSAFE', `${path} belongs to user ${facts.uid}, not to you`)
  if ((facts.mode & 0o077) !== 0) {
    throw new TalkootError(
      'E_STATE_UNSAFE',
      `${path} is open to other users (mode ${(facts.mode & 0o777).toString(8)})`,
    )
  }
}

function readPid(file: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return Number.isInteger(pid) && pid > 0 ? pid : null
  } catch {
    return null
  }
}
