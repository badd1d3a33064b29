/**
 * Units that wait on the word of a peer newly believed alone: until later words of it are confirmed, or until nothing else
 * is left of the job. Then some of them are checked, and if those are confirmed the rest is accepted.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { LIMITS } from '../../../protocol/limits.ts'
import { assumptionsOf } from '../verification/by-policy.ts'
import { closingChecks } from '../verification/checked-units.ts'
import { type Core, freshCount, type Job, type Seat, type Unit } from './state.ts'
import { holderOf } from './units.ts'

/** Of those that fill what there is room for, the oldest, so many at a time. */
const OVERDUE_SHARE = 1 / 8

export function withhold(core: Core, job: Job, unit: Unit): void {
  if (job.withheld.has(unit)) return
  if (job.withheld.size === 0) job.withheldSince = core.now
  job.withheld.add(unit)
  for (const { seat, said } of unit.holders) if (said !== null) seat.withheld.add(unit)
  // It may be all that is left.
  core.decided.add(job)
}

export function letGo(job: Job, unit: Unit): void {
  if (!job.withheld.delete(unit)) return
  for (const { seat } of unit.holders) seat.withheld.delete(unit)
}

/** Those that need not wait any more since a word of the seat was confirmed. */
export function* vouchedFor(seat: Seat): Iterable<Unit> {
  for (const unit of seat.withheld) {
    if (!seat.vouchers.vouchFor(holderOf(unit, seat)?.word ?? 0)) return
    yield unit
  }
}

/** Those that are checked, once, before the others are accepted because nothing else is left. */
export function lastChecks(core: Core, job: Job): readonly Unit[] {
  if (job.closing || !isLast(job)) return []
  job.closing = true
  const { checkShare } = assumptionsOf(job.policy)
  const checks: Unit[] = []
  for (const seat of job.seats.values()) {
    const waiting = [...seat.withheld]
    const later = waiting.map((unit) => seat.vouchers.after(holderOf(unit, seat)?.word ?? 0))
    const [confirmed] = later
    if (confirmed === undefined) continue
    const unchecked = later.filter((count) => count === 0).length
    const words = { units: [...waiting.keys()], confirmed, unchecked }
    const draw = () => uniformFloat64(core.components.random)
    for (const at of closingChecks(words, seat.words, checkShare, draw)) {
      const unit = waiting[at]
      if (unit === undefined) continue
      unit.check = true
      checks.push(unit)
    }
  }
  return checks
}

/** Those that wait for nothing: all else is decided, or they fill what there is room for. */
export function overdue(job: Job): readonly Unit[] {
  const { withheld, valueBytes } = job
  if (isLast(job)) return [...withheld]
  const full = 2 * withheld.size > LIMITS.UNDECIDED_UNITS_MAX || 2 * valueBytes > LIMITS.UNDECIDED_VALUES_MAX_BYTES
  return full ? [...withheld].slice(0, Math.ceil(OVERDUE_SHARE * withheld.size)) : []
}

const isLast = (job: Job): boolean =>
  job.withheld.size > 0 && job.withheld.size === job.open.size && freshCount(job) === 0
