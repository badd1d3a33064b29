/** Who watches a job hears of what is about it, and of peers that come, change or go. */

import type { JobId } from '../../protocol/manifest.ts'
import { Changes } from './changes.ts'
import type { Step } from './stepper.ts'

export class Moves extends Changes<JobId> {
  tell({ event, effects }: Step): void {
    if (event.type === 'peer.up' || event.type === 'peer.down' || event.type === 'peer.ad') this.notifyAll()
    const jobs = new Set(effects.flatMap((effect) => ('job' in effect ? [effect.job] : [])))
    if ('job' in event && typeof event.job === 'string') jobs.add(event.job)
    for (const job of jobs) this.notify(job)
  }
}
