/**
 * What is reached against peers that plot, and against those that earn trust and then cheat: `node bench/collusion.ts [--turncoats [--after 100]]`.
 * Prints Markdown tables. The goal is 0.999, all lies are taken to agree, and the share of liars is known.
 */

import { parseArgs } from 'node:util'
import { colluders, honest, type Peer, turncoat } from '../test/verification/adversaries.ts'
import { assuming } from '../test/verification/cases.ts'
import { Chance } from '../test/verification/chance.ts'
import { ConfidenceRule } from '../test/verification/confidence-rule.ts'
import { runMesh } from '../test/verification/mesh.ts'

const GOAL = 0.999
const PEERS = 100
const SEEDS = 4
const TURNCOAT_SEEDS = 20
const SHARES = [0.05, 0.1, 0.2, 0.3, 0.4]
const PLOTS = [
  { name: 'lie wherever they can', boldness: 1, partners: 1 },
  { name: 'on one unit in ten', boldness: 0.1, partners: 1 },
  { name: 'where two of them meet', boldness: 1, partners: 2 },
  { name: 'on a tenth of those', boldness: 0.1, partners: 2 },
  { name: 'where three of them meet', boldness: 1, partners: 3 },
]

const { turncoats = false, after: turns = ['100', '200', '400'] } = parseArgs({
  options: { turncoats: { type: 'boolean' }, after: { type: 'string', multiple: true } },
}).values
if (!turncoats) {
  colluderTable('strangers only', 0, SHARES, null)
  colluderTable('20 of 100 peers are members', 20, SHARES, null)
  colluderTable('strangers only, taken to be 20%', 0, [0.3, 0.4, 0.45], 0.2)
}
turncoatTable()

/** `stated`: the share of liars the submitter takes to be true; null: it knows. */
function colluderTable(pool: string, members: number, shares: number[], stated: number | null): void {
  console.log(`\n### Colluders, ${pool}\n`)
  console.log(`| they ${PLOTS.map(({ name }) => `| ${name} `).join('')}|\n|---${'|---'.repeat(PLOTS.length)}|`)
  for (const share of shares) {
    const cells = PLOTS.map((plot) => {
      const runs = seeds((seed) => run(stated ?? share, members, () => colluders(share * PEERS, plot), 100, seed))
      const [wrong, accepted] = [sum(runs, 'wrong'), sum(runs, 'accepted')]
      return `${(wrong / accepted).toExponential(0)} at ${(sum(runs, 'executions') / sum(runs, 'units')).toFixed(2)}`
    })
    console.log(`| are ${share * 100}% | ${cells.join(' | ')} |`)
  }
}

/**
 * `of its results`: of those it gave before it was caught, or ever, the ones that were accepted and wrong; mean over all that
 * turn, its 95% interval; then of the single cheaters the median, the 95% quantile and the worst, and how many were above 5%;
 * the same as a share of those of its results that were accepted.
 */
function turncoatTable(): void {
  console.log('\n### Earn, then cheat: one peer in twenty turns\n')
  console.log(
    '| turns after | lies on | wrong accepted before it is caught | of its results | one cheater: half, 95%, all | above 5% | of those accepted: 95%, all | above 5% | caught | left of those caught | executions a unit |\n|---|---|---|---|---|---|---|---|---|---|---|',
  )
  for (const after of turns.map(Number)) {
    for (const rate of [0.05, 0.1, 0.3, 1]) {
      const bad = () => Array.from({ length: 5 }, () => turncoat(after, rate, 1))
      const runs = seeds((seed) => run(0.2, 0, bad, 500, seed), TURNCOAT_SEEDS)
      const shares = runs.map(({ lies, turns }) => lies / turns)
      const mean = shares.reduce((total, share) => total + share, 0) / runs.length
      const variance = shares.reduce((total, share) => total + (share - mean) ** 2, 0) / (runs.length - 1)
      const half = 1.96 * Math.sqrt(variance / runs.length)
      const given = runs.flatMap((figures) => figures.shares)
      const accepted = runs.flatMap((figures) => figures.acceptedShares)
      const cells = [
        `${after} results`,
        percent(rate),
        (sum(runs, 'lies') / given.length).toFixed(1),
        `${percent(mean)} ± ${percent(half)}`,
        [0.5, 0.95, 1].map((part) => percent(quantile(given, part))).join(', '),
        above(given),
        [0.95, 1].map((part) => percent(quantile(accepted, part))).join(', '),
        above(accepted),
        `${sum(runs, 'caught')}`,
        `${sum(runs, 'leftByCaught')}`,
        (sum(runs, 'executions') / sum(runs, 'units')).toFixed(2),
      ]
      console.log(`| ${cells.join(' | ')} |`)
    }
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`
}

function quantile(shares: number[], part: number): number {
  return [...shares].sort((a, b) => a - b)[Math.ceil(part * shares.length) - 1] ?? 0
}

function above(shares: number[]): string {
  return `${shares.filter((share) => share > 0.05).length} of ${shares.length}`
}

type Figures = Record<
  'wrong' | 'accepted' | 'caught' | 'executions' | 'units' | 'lies' | 'turns' | 'leftByCaught',
  number
> & {
  /** By cheater, those accepted wrong before it was caught: of the results it gave, and of those accepted. */
  shares: number[]
  acceptedShares: number[]
}

function run(stated: number, members: number, makeBad: () => Peer[], perPeer: number, seed: number): Figures {
  const chance = new Chance(seed)
  const bad = makeBad()
  const good = Array.from({ length: PEERS - bad.length }, (_, i): Peer => {
    return { ...honest(), trust: i < members ? 'member' : 'stranger' }
  })
  const peers = [...bad, ...good]
  chance.shuffle(peers)
  const units = PEERS * perPeer
  const rule = new ConfidenceRule({
    peers,
    units,
    goal: GOAL,
    assumed: assuming(stated, 1),
    chance,
  })
  const outcome = runMesh(rule, peers, units, chance)
  const liars = rule.seats.filter(({ peer }) => !peer.honest)
  const of = (key: 'lies' | 'turns') => liars.reduce((total, seat) => total + seat[key], 0)
  return {
    ...outcome,
    lies: of('lies'),
    turns: of('turns'),
    shares: liars.map(({ lies, turns }) => lies / Math.max(1, turns)),
    acceptedShares: liars.map(({ lies, accepted }) => lies / Math.max(1, accepted)),
    leftByCaught: outcome.caught === bad.length ? outcome.wrong : 0,
  }
}

function seeds<T>(make: (seed: number) => T, count = SEEDS): T[] {
  return Array.from({ length: count }, (_, i) => make(i + 1))
}

function sum(runs: Figures[], key: Exclude<keyof Figures, 'shares' | 'acceptedShares'>): number {
  return runs.reduce((total, figures) => total + figures[key], 0)
}
