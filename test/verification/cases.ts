/** One measured case: a rule, a mesh of honest peers and liars, a sweep; run as often as makes the figure worth reading. */

import { ASSUMED, type Assumptions } from '../../node/jobs/verification/credit.ts'
import { honest, liar, type Peer } from './adversaries.ts'
import { boinc, quorum, SpotChecks } from './baselines.ts'
import { Chance } from './chance.ts'
import { ConfidenceRule } from './confidence-rule.ts'
import { interval } from './interval.ts'
import { type Rule, type Run, runMesh } from './mesh.ts'

export const RULES = ['confidence', 'quorum 2', 'quorum 3', 'adaptive', 'spot-checks'] as const

export type Case = {
  rule: (typeof RULES)[number]
  /** 1 - the error asked for; only `confidence` knows it. */
  goal: number
  /** The share of peers that lie, and how often they do. */
  bad: number
  rate: number
  /** The chance that two lies agree. */
  collusion: number
  units: number
  peers: number
  repeats: number
  /** Checks survived before the job. Liars found out by as many are not in the mesh any more. */
  warm: number
  seed: number
}

export type Row = Case & {
  executionsPerUnit: number
  accepted: number
  wrong: number
  /** Share of wrong values among those accepted, with its 95% interval. */
  error: number
  errorLow: number
  errorHigh: number
  /** Share of units without an accepted value. */
  undecided: number
  honestLost: number
  cpuMs: number
}

/** Of the units a peer asks for, this share are spot-checks: Sarmenta's own figure. */
const SPOT_SHARE = 0.1

export function measure(wanted: Case): Row {
  const started = process.cpuUsage()
  const sum = { units: 0, executions: 0, accepted: 0, wrong: 0, honestLost: 0 }
  for (let i = 0; i < wanted.repeats; i++) {
    const run = runOnce(wanted, wanted.seed + i)
    sum.units += run.units
    sum.executions += run.executions
    sum.accepted += run.accepted
    sum.wrong += run.wrong
    sum.honestLost += run.honestLost
  }
  const { low, high } = interval(sum.wrong, sum.accepted)
  const { user, system } = process.cpuUsage(started)
  return {
    ...wanted,
    executionsPerUnit: sum.executions / sum.units,
    accepted: sum.accepted,
    wrong: sum.wrong,
    error: sum.accepted === 0 ? 0 : sum.wrong / sum.accepted,
    errorLow: low,
    errorHigh: high,
    undecided: 1 - sum.accepted / sum.units,
    honestLost: sum.honestLost,
    cpuMs: Math.round((user + system) / 1_000),
  }
}

function runOnce(wanted: Case, seed: number): Run {
  const { peers: count, units, bad, rate, collusion, warm } = wanted
  const chance = new Chance(seed)
  const peers: Peer[] = []
  for (let i = 0; i < count; i++) {
    if (!chance.hit(bad)) peers.push(honest())
    else if (warm === 0 || chance.hit((1 - rate) ** warm)) peers.push(liar(rate, collusion))
  }
  return runMesh(ruleOf(wanted, peers, chance), peers, units, chance)
}

function ruleOf({ rule, goal, bad, collusion, units, warm }: Case, peers: Peer[], chance: Chance): Rule {
  const init = { peers: peers.length, units, chance }
  switch (rule) {
    case 'confidence':
      return new ConfidenceRule({ peers, units, goal, assumed: assuming(bad, collusion), chance, warm })
    case 'quorum 2':
      return quorum(2, init)
    case 'quorum 3':
      return quorum(3, init)
    case 'adaptive':
      return boinc(init, warm)
    case 'spot-checks':
      return new SpotChecks(init, SPOT_SHARE)
  }
}

/** The submitter knows what is true of strangers. */
export const assuming = (bad: number, collusion: number): Assumptions => ({
  ...ASSUMED,
  bad: { ...ASSUMED.bad, stranger: bad },
  collusion: { ...ASSUMED.collusion, stranger: collusion },
})
