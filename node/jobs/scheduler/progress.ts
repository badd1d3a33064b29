/** How far a job is, and why what does not run does not run. */

import type { Reason } from '../../../protocol/reasons.ts'
import type { JobProgress } from './events.ts'
import { isBarred } from './pool.ts'
import { freshReason, generalReason } from './reasons.ts'
import { freshCount, type Job, settledCount, type Unit } from './state.ts'

export function progressOf(job: Job, now: number): JobProgress {
  const { size } = job.spec
  const { accepted, failed, running, executions, wasted, disagreements, reference } = job
  const unitMs = reference.ends > 0 ? reference.busyMs / reference.ends : null
  const waiting = waitingOf(job, size - settledCount(job) - running, now)
  return { size, accepted, failed, running, executions, wasted, disagreements, unitMs, waiting }
}

function waitingOf(job: Job, units: number, now: number): JobProgress['waiting'] {
  const waiting: JobProgress['waiting'] = []
  let left = units
  const add = (reason: Reason, count: number, since: number) => {
    const taken = Math.min(count, left)
    if (taken <= 0) return
    left -= taken
    waiting.push({ reason, units: taken, sinceMs: Math.max(0, now - since) })
  }
  add('comparing', job.comparing, job.comparingSince)
  add('unconfirmed', waitingCount(job.withheld), job.withheldSince)
  const general = generalReason(job, now)
  if (general.reason === 'busy') {
    const barred = barredUnits(job)
    add('backoff', barred.backoff, barred.since)
    add('quorum-short', barred.quorumShort, barred.since)
    const fresh = freshReason(job, general.reason)
    if (fresh !== 'busy') add(fresh, freshCount(job), general.since)
  }
  add(general.reason, left, general.since)
  return waiting
}

/** A copy for a straggler may still run. */
function waitingCount(units: Iterable<Unit>): number {
  let count = 0
  for (const { running } of units) if (running === 0) count += 1
  return count
}

/** As `barredReason`, for all of them: by buckets, so that it costs no more than there are kinds of units. */
function barredUnits(job: Job): { backoff: number; quorumShort: number; since: number } {
  const usable = [...job.seats.values()].filter((seat) => seat.usable)
  const units = { backoff: 0, quorumShort: 0, since: job.addedAt }
  for (const bucket of [...job.pool.buckets, ...job.later.buckets]) {
    if (usable.some((seat) => !isBarred(bucket, seat))) continue
    for (const unit of bucket.units) {
      if (unit.running > 0) continue
      units[unit.waits ? 'backoff' : 'quorumShort'] += 1
      for (const { since } of unit.holders) units.since = Math.max(units.since, since)
    }
  }
  return units
}
