/**
 * The file in which a program saves its state, read from outside while it runs. The folder it lies in is memory of the unit's
 * own and goes with it; the kernel shows it through any of its processes (proc(5), `root`).
 */

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { LIMITS } from '../../../protocol/limits.ts'
import { treeOf } from './process-tree.ts'
import { CHECKPOINT_FILE } from './surroundings.ts'

export type Checkpointing = {
  /** What the file holds at the start. */
  resumed: Uint8Array | undefined
  onSaved(state: Uint8Array): void
}

/** Neither a link, which would lead out of the unit's own files, nor a pipe, which would wait. */
const AS_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const AS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY

export class CheckpointWatch {
  readonly #checkpointing: Checkpointing
  /** Which file it was, and as of when. */
  #seen = ''

  constructor(checkpointing: Checkpointing) {
    this.#checkpointing = checkpointing
  }

  /** Tells what is new in the file of the unit whose processes are below this one; also of one that is about to be killed. */
  look(pid: number | undefined): void {
    const state = this.#read(pid)
    if (state === null) return
    const { resumed, onSaved } = this.#checkpointing
    // What it goes on from, or as much of that as is laid down by now.
    const isGiven = resumed !== undefined && Buffer.compare(state, resumed.subarray(0, state.length)) === 0
    if (!isGiven) onSaved(state)
  }

  /** The last processes are surely the unit's; the first is still outside. */
  #read(pid: number | undefined): Uint8Array | null {
    for (const below of treeOf(pid).toReversed()) {
      const state = within(`/proc/${below}/root`, AS_FOLDER, (root) => {
        const [inside, outside] = [fstatSync(root), statSync('/')]
        if (inside.dev === outside.dev && inside.ino === outside.ino) return null
        return within(`/proc/self/fd/${root}${CHECKPOINT_FILE}`, AS_FILE, (file) => this.#readNew(file))
      })
      if (state !== null) return state
    }
    return null
  }

  #readNew(file: number): Uint8Array | null {
    const stat = fstatSync(file, { bigint: true })
    const size = Number(stat.size)
    if (!stat.isFile() || size === 0 || size > LIMITS.UNIT_CHECKPOINT_MAX_BYTES) return null
    const seen = `${stat.ino} ${stat.mtimeNs} ${size}`
    if (seen === this.#seen) return null
    const state = Buffer.alloc(size)
    const bytes = readSync(file, state, 0, size, 0)
    this.#seen = seen
    return state.subarray(0, bytes)
  }
}

/** Null, too, if it cannot be opened: it is not there yet or not any more, or is not what it should be. */
function within<T>(path: string, flags: number, use: (fd: number) => T | null): T | null {
  let fd: number
  try {
    fd = openSync(path, flags)
  } catch {
    return null
  }
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
