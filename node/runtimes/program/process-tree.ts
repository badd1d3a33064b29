/** What a process and its descendants use, as the kernel tells (proc(5)). */

import { readdirSync, readFileSync } from 'node:fs'

/** Page tables too: reading a terabyte that was never written takes gigabytes of them, and nothing else. */
const USED = /^(?:RssAnon|RssShmem|VmSwap|VmPTE):\s+(\d+)/gm

const READ = /^rchar: (\d+)/m
const WRITTEN = /^wchar: (\d+)/m

export type Usage = { memoryMiB: number; cpuMs: number; readBytes: number; writtenBytes: number }

/** Linux tells times of processes in hundredths of a second. */
const TICK_MS = 10
/** `utime`, `stime`, and those of children that were waited for, counted from the field after the name. */
const TIMES_FROM = 11
const TIMES_TO = 15

/**
 * What a process and all below it use. Memory in use, MiB: shared pages are counted once a process. CPU time so far,
 * milliseconds, and bytes that were read and written, by whatever call, those of processes which have ended included. All 0 once
 * all are gone. Only those count that are at least `depth` namespaces of processes below this one; the first `above`, each
 * the child of the one before, do not.
 */
export function usageOfTree(
  root: number | undefined,
  { depth = 0, above = 0 }: { depth?: number | undefined; above?: number | undefined } = {},
): Usage {
  let kibibytes = 0
  let ticks = 0
  let readBytes = 0
  let writtenBytes = 0
  for (const pid of treeOf(root).slice(above)) {
    const status = read(`/proc/${pid}/status`)
    if (depthOf(status) < depth) continue
    for (const [, used] of status.matchAll(USED)) kibibytes += Number(used)
    const io = read(`/proc/${pid}/io`)
    readBytes += Number(READ.exec(io)?.[1] ?? 0)
    writtenBytes += Number(WRITTEN.exec(io)?.[1] ?? 0)
    const stat = read(`/proc/${pid}/stat`)
    // The name before it may have blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    for (const time of fields.slice(TIMES_FROM, TIMES_TO)) ticks += Number(time)
  }
  return { memoryMiB: kibibytes / 1_024, cpuMs: ticks * TICK_MS, readBytes, writtenBytes }
}

/** Its number in each namespace it is in is listed, from ours on. */
function depthOf(status: string): number {
  const numbers = /^NSpid:\s+(.*)$/m.exec(status)?.[1] ?? ''
  return numbers.split(/\s+/).filter(Boolean).length - 1
}

/** Itself first. */
export function treeOf(root: number | undefined): number[] {
  if (root === undefined) return []
  const found = [root]
  for (let next = 0; next < found.length; next++) found.push(...childrenOf(found[next] ?? 0))
  return found
}

function childrenOf(pid: number): number[] {
  return list(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  )
}

/** Processes end while they are looked at. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
