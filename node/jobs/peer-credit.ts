/** What a peer's word is worth, in numbers a person can follow: docs/verification.md derives them. */

import type { PeerCredit } from '../../protocol/peer-credit.ts'
import { ASSUMED, admission, aged, type Evidence, errorRate, undecidedMax } from './verification/credit.ts'
import type { Voter } from './verification/verification.ts'

/** As it was last written, so long ago; null: it has shown nothing. */
type Shown = { checks: number; caught: number; ageMs: number } | null

/** The confidence for which it is said what is missing. */
const GOAL = 0.999
/** Checks beyond this are not kept: who needs more is never believed alone. */
const CHECKS_MAX = 10_000

export function creditOf(trust: Voter['trust'], shown: Shown): PeerCredit {
  const then: Evidence = { checks: shown?.checks ?? 0, caught: shown?.caught ?? 0, at: 0 }
  const now = shown?.ageMs ?? 0
  const today = aged(then, now, ASSUMED)
  const voter: Voter = { trust, credit: today }
  const missing = checksMissing(voter)
  const room = undecidedMax(today)
  return {
    checks: today.checks,
    caught: today.caught,
    shown: shown === null ? null : { checks: shown.checks, caught: shown.caught, agoMs: shown.ageMs },
    halfLifeMs: ASSUMED.halfLifeMs,
    bad: ASSUMED.bad[trust],
    error: errorRate(voter, ASSUMED),
    goal: GOAL,
    checksMissing: missing,
    admission: admission({ ...today, at: then.at }, now),
    undecidedMax: Number.isFinite(room) ? room : null,
  }
}

/** How many further checks it must survive until its word alone is enough; the error rate falls with each. */
function checksMissing(voter: Voter): number | null {
  const enough = (more: number) => errorRate(voter, ASSUMED, more) <= 1 - GOAL
  if (!enough(CHECKS_MAX)) return null
  let [low, high] = [-1, CHECKS_MAX]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (enough(middle)) high = middle
    else low = middle
  }
  return high
}
