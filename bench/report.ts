/** The table of a run. */

import { createColors } from 'picocolors'
import { grid } from '../node/cli/render/grid.ts'
import type { Figure, Verdict } from './gate.ts'

export function tableOf(verdicts: readonly Verdict[], coloured?: boolean): string {
  const colours = createColors(coloured)
  const mark = {
    level: colours.green('✔ level'),
    improved: colours.green('▲ improved'),
    regressed: colours.red('✖ regressed'),
    new: '+ new',
  }
  return grid(
    verdicts,
    [
      { title: 'benchmark', cell: ({ figure }) => figure.benchmark },
      { title: 'figure', cell: ({ figure }) => figure.name },
      { title: 'measured', align: 'right', cell: ({ figure }) => shown(figure.value, figure) },
      { title: 'must', align: 'right', cell: (verdict) => goalOf(verdict) },
      { title: 'ratio', align: 'right', cell: ({ figure }) => figure.ratio.toPrecision(3) },
      { title: 'to', cell: ({ figure }) => figure.per ?? '' },
      { title: 'baseline', align: 'right', cell: ({ change }) => (change === null ? '' : `${change.toFixed(2)}x`) },
      { title: '', cell: ({ verdict }) => mark[verdict] },
    ],
    colours,
  )
}

function goalOf({ figure, reached }: Verdict): string {
  if (figure.must === undefined) return ''
  const sign = figure.better === 'more' ? '≥' : '≤'
  return `${reached ? '✔' : '✖'} ${sign} ${shown(figure.must, figure)}`
}

function shown(value: number, { unit }: Figure): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  const text = value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return unit.startsWith('/') || unit === '%' ? `${text}${unit}` : `${text} ${unit}`
}
