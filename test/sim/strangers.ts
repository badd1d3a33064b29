/** A scenario in which nothing goes wrong but what peers say: strangers with two slots each, of four speeds, in units of 100 ms. */

import { type Policy, policySchema } from '../../protocol/manifest.ts'
import type { Scenario } from './scenario.ts'

export const STRANGER_SLOTS = 2
export const STRANGER_UNIT_MS = 100
export const strangerSpeed = (peer: number): number => 1 + (peer % 4) / 4

type Strangers = {
  units: number
  verify: Policy['verify']
  /** How often two that lie agree. */
  collusion: number
  /** Of which share of its units a peer lies. */
  liesOf?: (peer: number) => number
}

export const strangers =
  ({ units, verify, collusion, liesOf = () => 0 }: Strangers) =>
  (drawn: Scenario): Scenario => ({
    ...drawn,
    units,
    unitMs: STRANGER_UNIT_MS,
    policy: policySchema.parse({ verify, retries: 20 }),
    program: { failsOn: () => false },
    faultEveryMs: 1e12,
    endAt: 3_600_000,
    submitterRestarts: 0,
    peers: drawn.peers.map((peer, i) => ({
      ...peer,
      trust: 'stranger',
      slots: STRANGER_SLOTS,
      speed: strangerSpeed(i),
      latencyMs: 5,
      lies: liesOf(i),
      plots: collusion,
      liesAfter: 0,
      faulty: 0,
      slanders: 0,
      refuses: 'never',
      goneAt: Number.POSITIVE_INFINITY,
    })),
  })
