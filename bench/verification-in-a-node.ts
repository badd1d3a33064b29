/**
 * What a confidence costs and reaches with the scheduler as it runs in a node, in the seeded simulator: strangers without
 * history, two slots each, 100 units a peer; one in five is taken to lie, whatever their share. `node bench/verification-in-a-node.ts [--seeds 2] [--peers 100]`; Markdown.
 */

import { parseArgs } from 'node:util'
import { simulate } from '../test/sim/simulation.ts'
import { strangers } from '../test/sim/strangers.ts'
import { interval } from '../test/verification/interval.ts'

const GOALS = [0.99, 0.999, 0.9999]
const BAD = [0.05, 0.2, 0.35]
const RATES = [0.01, 0.02, 0.1, 0.3, 1]
const COLLUSION = 0.01
const UNITS_PER_PEER = 100

type Cell = { goal: number; bad: number; rate: number }
type Figures = { units: number; executions: number; wrong: number; honestLost: number }

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '2' }, peers: { type: 'string', default: '100' } },
})
const [seeds, peers] = [Number(values.seeds), Number(values.peers)]

console.log(
  '| liars | goal | executions a unit, by how often they lie (1%, 2%, 10%, 30%, always) | wrong at worst | wrong of all | honest peers lost |',
)
console.log('|---|---|---|---|---|---|')
for (const bad of BAD) {
  for (const goal of GOALS) {
    const cells = RATES.map((rate) => measure({ goal, bad, rate }))
    const executions = cells.map((cell) => (cell.executions / cell.units).toFixed(2)).join(', ')
    const worst = cells.reduce((a, b) => (b.wrong > a.wrong ? b : a))
    const all = cells.reduce(add)
    console.log(`| ${bad} | ${goal} | ${executions} | ${share(worst)} | ${share(all)} | ${all.honestLost} |`)
  }
}

function measure({ goal, bad, rate }: Cell): Figures {
  const liars = Math.round(bad * peers)
  const units = peers * UNITS_PER_PEER
  const verify = { kind: 'confidence', goal, collusion: COLLUSION } as const
  const adapt = strangers({ units, verify, collusion: COLLUSION, liesOf: (peer) => (peer < liars ? rate : 0) })
  let sum: Figures = { units: 0, executions: 0, wrong: 0, honestLost: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const { executions, wrong, caught } = simulate({ seed, peers, units, adapt })
    const honestLost = caught.filter((id) => Number(id.slice('peer-'.length)) >= liars).length
    sum = add(sum, { units, executions, wrong, honestLost })
  }
  return sum
}

function add(a: Figures, b: Figures): Figures {
  return {
    units: a.units + b.units,
    executions: a.executions + b.executions,
    wrong: a.wrong + b.wrong,
    honestLost: a.honestLost + b.honestLost,
  }
}

function share({ wrong, units }: Figures): string {
  const { low, high } = interval(wrong, units)
  return `${exact(wrong / units)} (${exact(low)} to ${exact(high)})`
}

function exact(part: number): string {
  return part === 0 ? '0' : part.toExponential(1)
}
