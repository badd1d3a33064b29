/** How far a job is, and why what does not run does not run. */

import type { JobProgress, WaitReason } from './events.ts'
import { type Core, type Job, settledCount } from './state.ts'

export function progressOf(core: Core, job: Job): JobProgress {
  const { size } = job.spec
  const { accepted, failed, running, executions, disagreements } = job
  const counts = new Map<WaitReason, number>()
  const add = (reason: WaitReason, units: number) => {
    if (units > 0) counts.set(reason, (counts.get(reason) ?? 0) + units)
  }
  let left = size - settledCount(job) - running
  const comparing = Math.min(job.comparing, left)
  add('comparing', comparing)
  left -= comparing
  const general = reasonOf(core, job)
  if (general === 'peers-busy') {
    const barred = barredUnits(job)
    for (const reason of ['backing-off', 'quorum-short'] as const) {
      const units = Math.min(barred[reason], left)
      add(reason, units)
      left -= units
    }
  }
  add(general, left)
  const waiting = [...counts].map(([reason, units]) => ({ reason, units }))
  return { size, accepted, failed, running, executions, disagreements, waiting }
}

/** The reason of a unit that any usable peer could run. */
function reasonOf(core: Core, job: Job): WaitReason {
  let [up, fitting, willing, rested] = [0, 0, 0, 0]
  for (const seat of job.seats.values()) {
    if (!seat.peer.up) continue
    up += 1
    if (!seat.fits) continue
    fitting += 1
    if (!seat.usable) continue
    willing += 1
    if (core.now >= seat.restUntil) rested += 1
  }
  if (up === 0) return 'no-peer'
  if (fitting === 0) return 'none-matches'
  if (willing === 0) return 'peers-refuse'
  if (willing < job.verification.copies) return 'quorum-short'
  return rested === 0 ? 'backing-off' : 'peers-busy'
}

/**
 * Units nobody runs and none of the usable peers may run now: they failed it a moment ago, or they have spoken and
 * their word alone is not enough.
 */
function barredUnits(job: Job): { 'backing-off': number; 'quorum-short': number } {
  const usable = new Set<number>()
  for (const seat of job.seats.values()) if (seat.usable) usable.add(seat.peer.slot)
  const units = { 'backing-off': 0, 'quorum-short': 0 }
  for (const bucket of job.pool.buckets) {
    let barred = 0
    for (const slot of bucket.barred) if (usable.has(slot)) barred += 1
    if (barred < usable.size) continue
    for (const unit of bucket.units) if (unit.running === 0) units[unit.waits ? 'backing-off' : 'quorum-short'] += 1
  }
  return units
}
