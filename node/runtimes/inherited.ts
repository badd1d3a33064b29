/** Descriptors that whoever started this node left open: every process it starts would have them too. */

import { readdirSync, readFileSync } from 'node:fs'

const FDINFO = '/proc/self/fdinfo'
const O_CLOEXEC = 0o2000000
const STDERR = 2

/** Descriptors beyond the standard ones that a new program keeps. Node's own are not among them. Linux only. */
export function inheritedDescriptors(): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync(FDINFO)
    .map(Number)
    .filter((fd) => fd > STDERR && isKept(fd))
}

function isKept(fd: number): boolean {
  try {
    const flags = /^flags:\t([0-7]+)/m.exec(readFileSync(`${FDINFO}/${fd}`, 'utf8'))?.[1] ?? ''
    return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0
  } catch {
    // Closed since the list was read.
    return false
  }
}
