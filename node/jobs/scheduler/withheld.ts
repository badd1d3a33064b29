/**
 * Units that wait on the word of a peer newly believed alone: until later words of it are confirmed, or until nothing else
 * is left of the job. Then they are accepted, and the checks that close the job are drawn among them.
 */

import { LIMITS } from '../../../protocol/limits.ts'
import { type Core, freshCount, type Job, type Seat, type Unit } from './state.ts'
import { holderOf } from './units.ts'

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

/** Those that wait for nothing: all else is decided, or they fill what there is room for. */
export function overdue(job: Job): readonly Unit[] {
  const { withheld, open, valueBytes } = job
  if (withheld.size === 0) return []
  const last = withheld.size === open.size && freshCount(job) === 0
  const full = 2 * withheld.size > LIMITS.UNDECIDED_UNITS_MAX || 2 * valueBytes > LIMITS.UNDECIDED_VALUES_MAX_BYTES
  return last || full ? [...withheld] : []
}
