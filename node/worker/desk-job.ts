/** One job of a submitter on this worker: what of it waits, and what runs. */

import type { JobId, Policy } from '../../protocol/manifest.ts'
import { FilesWait } from './files-wait.ts'
import { UnitQueue } from './unit-queue.ts'
import type { Needs } from './warm-shelf.ts'

/** A job whose manifest was checked and whose task is here with its files, until it is released. */
export type AdmittedJob = { id: JobId; policy: Policy; needs: Needs; release(): void }

/** Units taken together: `left` of them still run, and `cut` ends their process once none is wanted. */
export type Batch = { left: number; began: number; abort: AbortController; cut: NodeJS.Timeout | null }

export type DeskJob = {
  admitted: AdmittedJob | null
  queue: UnitQueue
  running: Map<number, Batch>
  /** When the first unit of each frame came, milliseconds. */
  arrivals: Map<number, number>
  /** Ends the fetching of its task. */
  abort: AbortController
  files: FilesWait
}

/** `onLate`: its files take a while. */
export const newJob = (onLate: () => void): DeskJob => ({
  admitted: null,
  queue: new UnitQueue(),
  running: new Map(),
  arrivals: new Map(),
  abort: new AbortController(),
  files: new FilesWait(onLate),
})

/** The unit runs no more. */
export function endRun({ running }: DeskJob, unit: number): void {
  const batch = running.get(unit)
  if (batch === undefined) return
  running.delete(unit)
  batch.left -= 1
  if (batch.left === 0 && batch.cut !== null) clearTimeout(batch.cut)
}

/** Ends what runs of it, and what is on its way. */
export function endJob({ abort, files, running, admitted }: DeskJob): void {
  abort.abort()
  files.end()
  for (const batch of new Set(running.values())) {
    batch.abort.abort()
    if (batch.cut !== null) clearTimeout(batch.cut)
  }
  admitted?.release()
}
