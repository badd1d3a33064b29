/** One job on a mesh as large as the seed is asked for: quorum, and faults from its first unit to nearly its last. */

import { policySchema } from '../../protocol/manifest.ts'
import type { Scenario } from './scenario.ts'

/** Every peer is struck about so often, by a crash, sleep, partition or pause. */
const FAULT_EVERY_MS = 60_000
const UNIT_MS = 5_000

/** For `simulate({ adapt })`: exactly `units` units, each wanted twice. */
export const atScale =
  (units: number) =>
  (drawn: Scenario): Scenario => ({
    ...drawn,
    units,
    unitMs: UNIT_MS,
    policy: policySchema.parse({ verify: { kind: 'quorum', agree: 2, of: 6 }, retries: 5 }),
    faultEveryMs: FAULT_EVERY_MS,
    startAt: 2_000,
    healedAt: 100_000,
    endAt: 3_600_000,
    submitterRestarts: 1,
    duplicates: 0.02,
    program: { failsOn: (unit) => unit % 997 === 3 },
  })
