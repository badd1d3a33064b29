/** The measured cases as Markdown: one table a sweep, one line a share of liars, the worst lying rate in each cell. */

import { type Row, RULES } from '../test/verification/cases.ts'

type Column = { title: string; has: (row: Row) => boolean }

export function tablesOf(rows: readonly Row[]): string {
  const parts: string[] = []
  for (const group of grouped(rows, ({ units, peers, warm }) => `${units} ${peers} ${warm}`)) {
    const { units, peers, warm } = group[0] ?? { units: 0, peers: 0, warm: 0 }
    const evidence = warm === 0 ? 'no history' : `${warm} checks survived before`
    parts.push(`### ${units.toLocaleString('en-US')} units, ${peers.toLocaleString('en-US')} peers, ${evidence}\n`)
    parts.push(tableOf(group))
  }
  return `${parts.join('\n')}\n`
}

/** Executions a unit by how many units each peer has to do, at each lying rate. */
export function lengthTable(rows: readonly Row[]): string {
  if (rows.length === 0) return ''
  const rates = [...new Set(rows.map(({ rate }) => rate))]
  const lines = [
    '### Executions a unit by units a peer: goal 0.999, one in five lies, two lies agree with probability 0.01\n',
    `| units a peer | ${rates.map((rate) => `lies on ${rate}`).join(' | ')} | honest peers lost |`,
    `|${'---|'.repeat(rates.length + 2)}`,
  ]
  for (const line of grouped(rows, ({ units, peers }) => `${units / peers}`)) {
    const cells = line.map(({ executionsPerUnit, error }) => `${executionsPerUnit.toFixed(3)}; ${short(error)}`)
    const { units, peers } = line[0] ?? { units: 0, peers: 1 }
    const lost = line.reduce((sum, { honestLost }) => sum + honestLost, 0)
    lines.push(`| ${units / peers} | ${cells.join(' | ')} | ${lost} |`)
  }
  return `${lines.join('\n')}\n`
}

function tableOf(rows: readonly Row[]): string {
  const goals = [...new Set(rows.filter(({ rule }) => rule === 'confidence').map(({ goal }) => goal))].sort()
  const columns: Column[] = [
    ...goals.map((goal) => ({
      title: `confidence ${goal}`,
      has: (row: Row) => row.rule === 'confidence' && row.goal === goal,
    })),
    ...RULES.filter((rule) => rule !== 'confidence' && rows.some((row) => row.rule === rule)).map((rule) => ({
      title: rule,
      has: (row: Row) => row.rule === rule,
    })),
  ]
  const lines = [
    `| lies agree | liars | ${columns.map(({ title }) => title).join(' | ')} |`,
    `|${'---|'.repeat(columns.length + 2)}`,
  ]
  for (const line of grouped(rows, ({ collusion, bad }) => `${collusion} ${bad}`)) {
    const { collusion, bad } = line[0] ?? { collusion: 0, bad: 0 }
    const cells = columns.map(({ has }) => cellOf(line.filter(has)))
    lines.push(`| ${collusion} | ${bad} | ${cells.join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

/** Executions a unit over all lying rates, then the worst error of any of them with its interval. */
function cellOf(rows: readonly Row[]): string {
  if (rows.length === 0) return ''
  const costs = rows.map(({ executionsPerUnit }) => executionsPerUnit)
  const worst = rows.reduce((a, b) => (b.error > a.error || (b.error === a.error && b.errorHigh > a.errorHigh) ? b : a))
  const [least, most] = [Math.min(...costs).toFixed(2), Math.max(...costs).toFixed(2)]
  const cost = least === most ? least : `${least}-${most}`
  const undecided = Math.max(...rows.map((row) => row.undecided))
  const note = undecided > 0.005 ? `, ${Math.round(undecided * 100)}% undecided` : ''
  return `${cost}; ${short(worst.error)} (${short(worst.errorLow)} to ${short(worst.errorHigh)})${note}`
}

const short = (share: number): string => (share === 0 ? '0' : share.toExponential(1).replace('.0e', 'e'))

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return [...groups.values()]
}
