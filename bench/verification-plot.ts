/**
 * The frontier as SVG: executions a unit against the share of wrong values accepted, a panel for each share of liars and
 * way of colluding, a colour for each rule, a dot for each lying rate. Lower and further left is better.
 */

import type { Row } from '../test/verification/cases.ts'

const PANEL = { width: 300, height: 250, left: 62, top: 92, gapX: 72, gapY: 72 }
const COST = { from: 1, to: 5 }
const ERROR = { from: 1e-6, to: 1 }
const INK = { text: '#1c2733', faint: '#8895a3', line: '#e4e9ee', paper: '#ffffff' }
const TITLE = 'What verification costs, and what it lets through'
const NOTE =
  'A mark for each share of units the liars lie on: 1, 2, 10, 30 and 100%. Hollow: nothing wrong was seen; drawn at the upper end of its 95% interval.'
const SERIES: { name: string; colour: string; shape: 'dot' | 'square'; has: (row: Row) => boolean }[] = [
  { name: 'confidence 0.99', colour: '#7cc4f5', shape: 'dot', has: ours(0.99) },
  { name: 'confidence 0.999', colour: '#1f7fd1', shape: 'dot', has: ours(0.999) },
  { name: 'confidence 0.9999', colour: '#0b3d75', shape: 'dot', has: ours(0.9999) },
  { name: 'quorum 2', colour: '#e0a100', shape: 'square', has: ({ rule }) => rule === 'quorum 2' },
  { name: 'quorum 3', colour: '#b35c00', shape: 'square', has: ({ rule }) => rule === 'quorum 3' },
  { name: 'adaptive replication', colour: '#c2304a', shape: 'square', has: ({ rule }) => rule === 'adaptive' },
  { name: 'spot-checks 10%', colour: '#4a9d5b', shape: 'square', has: ({ rule }) => rule === 'spot-checks' },
]

function ours(goal: number): (row: Row) => boolean {
  return (row) => row.rule === 'confidence' && row.goal === goal
}

export function plotFrontier(rows: readonly Row[]): string {
  const shares = distinct(rows.map(({ bad }) => bad))
  const agreeing = distinct(rows.map(({ collusion }) => collusion))
  const width = PANEL.left + shares.length * (PANEL.width + PANEL.gapX) - 40
  const height = PANEL.top + agreeing.length * (PANEL.height + PANEL.gapY) + 20
  const panels = agreeing.flatMap((collusion, y) =>
    shares.map((bad, x) => {
      const here = rows.filter((row) => row.bad === bad && row.collusion === collusion)
      const [left, top] = [PANEL.left + x * (PANEL.width + PANEL.gapX), PANEL.top + y * (PANEL.height + PANEL.gapY)]
      const lies = collusion >= 1 ? 'all lies agree' : `two lies agree: ${collusion}`
      return `<g transform="translate(${left} ${top})">${panel(here, `${Math.round(bad * 100)}% liars, ${lies}`)}</g>`
    }),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="${INK.text}">`,
    `<title>${TITLE}</title>`,
    `<rect width="${width}" height="${height}" fill="${INK.paper}"/>`,
    `<text x="${PANEL.left}" y="24" font-size="15" font-weight="600">${TITLE}</text>`,
    legend(),
    `<text x="${PANEL.left}" y="66" fill="${INK.faint}">${NOTE}</text>`,
    ...panels,
    '</svg>',
    '',
  ].join('\n')
}

function legend(): string {
  const items = SERIES.map(({ name, colour, shape }, i) => {
    const x = PANEL.left + i * 148
    return `${mark(x + 4, 42, shape, colour, true)}<text x="${x + 13}" y="46">${name}</text>`
  })
  return items.join('')
}

function panel(rows: readonly Row[], title: string): string {
  const parts = [`<text x="0" y="-8" font-weight="600">${title}</text>`, grid()]
  for (const { colour, shape, has } of SERIES) {
    const points = rows
      .filter(has)
      .sort((a, b) => a.rate - b.rate)
      .map((row) => ({ row, x: xOf(row.executionsPerUnit), y: yOf(row.wrong === 0 ? row.errorHigh : row.error) }))
    if (points.length > 1) {
      const path = points.map(({ x, y }) => `${x},${y}`).join(' ')
      parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-opacity="0.45" stroke-width="1.5"/>`)
    }
    for (const { row, x, y } of points) {
      const note = `${row.rule}${row.goal > 0 ? ` ${row.goal}` : ''}, lying on ${row.rate * 100}% of units: ${row.executionsPerUnit.toFixed(3)} executions, error ${row.error.toPrecision(2)}`
      parts.push(`<g><title>${note}</title>${mark(x, y, shape, colour, row.wrong > 0)}</g>`)
    }
  }
  return parts.join('')
}

/** A hollow mark: nothing wrong was seen, it stands at the upper end of the interval. */
function mark(x: number, y: number, shape: 'dot' | 'square', colour: string, seen: boolean): string {
  const style = `fill="${seen ? colour : INK.paper}" stroke="${colour}" stroke-width="1.5"`
  return shape === 'dot'
    ? `<circle cx="${x}" cy="${y}" r="4" ${style}/>`
    : `<rect x="${x - 3.5}" y="${y - 3.5}" width="7" height="7" ${style}/>`
}

function grid(): string {
  const { width, height } = PANEL
  const parts: string[] = []
  for (let cost = COST.from; cost <= COST.to; cost++) {
    const x = xOf(cost)
    parts.push(`<line x1="${x}" x2="${x}" y1="0" y2="${height}" stroke="${INK.line}"/>`)
    parts.push(`<text x="${x}" y="${height + 15}" text-anchor="middle" fill="${INK.faint}">${cost}</text>`)
  }
  for (let power = Math.log10(ERROR.from); power <= Math.log10(ERROR.to); power++) {
    const y = yOf(10 ** power)
    const isGoal = power <= -2 && power >= -4
    const dash = isGoal ? ` stroke-dasharray="4 3" stroke="${INK.faint}"` : ` stroke="${INK.line}"`
    parts.push(`<line x1="0" x2="${width}" y1="${y}" y2="${y}"${dash}/>`)
    const label = power === 0 ? '1' : `10<tspan dy="-4" font-size="8">${power}</tspan>`
    parts.push(`<text x="-8" y="${y + 4}" text-anchor="end" fill="${INK.faint}">${label}</text>`)
  }
  parts.push(
    `<text x="${width / 2}" y="${height + 32}" text-anchor="middle" fill="${INK.faint}">executions a unit</text>`,
  )
  parts.push(
    `<text transform="translate(-40 ${height / 2}) rotate(-90)" text-anchor="middle" fill="${INK.faint}">wrong among accepted</text>`,
  )
  return parts.join('')
}

const xOf = (cost: number): number => {
  const share = (Math.min(Math.max(cost, COST.from), COST.to) - COST.from) / (COST.to - COST.from)
  return Math.round(share * PANEL.width * 10) / 10
}

const yOf = (error: number): number => {
  const [low, high] = [Math.log10(ERROR.from), Math.log10(ERROR.to)]
  const share = (Math.log10(Math.min(Math.max(error, ERROR.from), ERROR.to)) - low) / (high - low)
  return Math.round((1 - share) * PANEL.height * 10) / 10
}

const distinct = (values: number[]): number[] => [...new Set(values)].sort((a, b) => a - b)
