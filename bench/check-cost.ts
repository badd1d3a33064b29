/**
 * What a check costs that peers survive by work: executions beyond one a unit, for each of them. `node bench/check-cost.ts`; Markdown.
 * A canary, a settled unit given out to see what a peer says, costs one execution and is one check.
 */

import { honest } from '../test/verification/adversaries.ts'
import { assuming } from '../test/verification/cases.ts'
import { Chance } from '../test/verification/chance.ts'
import { ConfidenceRule } from '../test/verification/confidence-rule.ts'
import { runMesh } from '../test/verification/mesh.ts'

const [GOAL, BAD, PEERS, SEEDS] = [0.999, 0.2, 100, 4]

console.log(
  '| lies agree | units a peer | executions a unit | checks a peer | executions a check |\n|---|---|---|---|---|',
)
for (const collusion of [0.01, 1]) {
  for (const perPeer of [5, 20, 100, 400]) {
    const sum = { executions: 0, units: 0, checks: 0 }
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { executions, units, checks } = run(collusion, perPeer, seed)
      sum.executions += executions
      sum.units += units
      sum.checks += checks
    }
    const figures = [
      sum.executions / sum.units,
      sum.checks / (SEEDS * PEERS),
      (sum.executions - sum.units) / sum.checks,
    ]
    console.log(`| ${[collusion, perPeer, ...figures.map((figure) => figure.toFixed(2))].join(' | ')} |`)
  }
}

function run(collusion: number, perPeer: number, seed: number): Record<'executions' | 'units' | 'checks', number> {
  const chance = new Chance(seed)
  const peers = Array.from({ length: PEERS }, () => honest())
  const units = PEERS * perPeer
  const rule = new ConfidenceRule({ peers, units, goal: GOAL, assumed: assuming(BAD, collusion), chance })
  const { executions } = runMesh(rule, peers, units, chance)
  return { executions, units, checks: rule.seats.reduce((total, { credit }) => total + credit.checks, 0) }
}
