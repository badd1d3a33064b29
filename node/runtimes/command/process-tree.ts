/** What a process and its descendants use, as the kernel tells (proc(5)). */

import { readdirSync, readFileSync } from 'node:fs'

/** Page tables too: reading a terabyte that was never written takes gigabytes of them, and nothing else. */
const USED = /^(?:RssAnon|RssShmem|VmSwap|VmPTE):\s+(\d+)/gm

/** Memory in use by a process and all below it, MiB: shared pages are counted once a process. 0 once they are gone. */
export function memoryOfTree(root: number | undefined): number {
  let kibibytes = 0
  for (const pid of treeOf(root)) {
    const status = read(`/proc/${pid}/status`)
    for (const [, used] of status.matchAll(USED)) kibibytes += Number(used)
  }
  return kibibytes / 1_024
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
