/** What jobs spend on attempts, kept as it is spent, with the receipts for it and what was told of it. */

import type { JobId } from '../../protocol/manifest.ts'
import type { DecisionLog } from './decision-log.ts'
import type { LiveJob } from './live-job.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import type { Step } from './stepper.ts'

type Components = { live: ReadonlyMap<JobId, LiveJob>; log: DecisionLog; scheduler: Scheduler }

/** Call it after each step: units are accepted, and copies of them cut off, by more than results. */
export function keepSpent({ live, log, scheduler }: Components, { event, effects, beside }: Step): void {
  const ids = new Set<JobId>('job' in event && typeof event.job === 'string' ? [event.job] : [])
  for (const effect of effects) if (effect.type === 'accepted') ids.add(effect.job)
  for (const id of ids) {
    const job = live.get(id)
    if (job === undefined) continue
    const { executions, wasted } = job.spend(scheduler.spent(id))
    // Ends of attempts nobody gave out count for nothing, and their receipts are not kept: a peer could send any number.
    if (executions === 0) continue
    const { n } = job.stored
    log.add({ kind: 'executions', job: n, executions, wasted })
    if (beside === undefined || !('peer' in event)) continue
    const { peer } = event
    log.add({ kind: 'receipt', job: n, peer, signed: beside.receipt })
    for (const report of beside.reports) log.add({ kind: 'report', job: n, peer, report })
  }
}
