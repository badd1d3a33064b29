/** Every unit that is in nobody's hands has a reason, and one that fits what the model of the checker knows. */

import type { Scheduler } from '../../node/jobs/scheduler/scheduler.ts'
import type { Reason } from '../../protocol/reasons.ts'
import type { Scenario } from './scenario.ts'
import { JOB } from './worker.ts'

/** Units looked at in one account. */
const UNITS_SEEN = 16

/** What the checker knows by itself: peers with a session, and the units in the hands of each. */
export type Known = {
  open: { id: string; holds: ReadonlySet<number> }[]
  decided: { size: number; has(unit: number): boolean }
  /** The job as a whole. */
  held: boolean
}

/** The first thing wrong, or null. */
export function wrongReason(scheduler: Scheduler, scenario: Scenario, known: Known): string | null {
  const step = Math.max(1, Math.floor(scenario.units / UNITS_SEEN))
  for (let unit = known.decided.size % step; unit < scenario.units; unit += step) {
    const view = scheduler.unit(JOB, unit)
    if ((view === null) !== known.decided.has(unit)) return `unit ${unit} is explained as ${JSON.stringify(view)}`
    if (view === null) continue
    const held = known.open.some(({ holds }) => holds.has(unit))
    const fits = view.reason === null ? held : !held && isPossible(view.reason, scenario, known)
    if (!fits) return `unit ${unit}, ${held ? 'in hands' : 'waiting'}, is explained as ${JSON.stringify(view)}`
    if (!(view.sinceMs >= 0)) return `unit ${unit} waits for ${view.sinceMs} ms`
  }
  return null
}

function isPossible(reason: Reason, { policy, peers }: Scenario, { open, held }: Known): boolean {
  if (held && reason !== 'comparing' && reason !== 'unconfirmed') return reason === 'held'
  const rooms = new Map(peers.map(({ id, room }) => [id, room]))
  const fitting = open.filter(({ id }) => policy.require === '' || rooms.get(id) === 'a')
  switch (reason) {
    case 'no-peer':
      return open.length === 0
    case 'no-match':
      return open.length > 0 && fitting.length === 0
    case 'busy':
    case 'backoff':
    case 'paused':
    case 'own-limits':
      return fitting.length > 0
    case 'untrusted':
    case 'quorum-short':
      return fitting.length > 0 && policy.verify.kind !== 'none'
    case 'unconfirmed':
      return policy.verify.kind === 'confidence'
    case 'comparing':
      return policy.agree.kind === 'function'
    default:
      return false
  }
}
