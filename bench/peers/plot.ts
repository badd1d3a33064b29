/** The plot: trivial units a second on a logarithmic scale, with ratios, and efficiencies beside it. Pure. */

import { element, line, scale, text } from '../../examples/influenza/svg.ts'
import { efficiencyOf, type Measured, type PeersReport } from './results.ts'

const TITLE = 'The same units on the same two cores'
const WIDTH = 980
const ROW = 34
const TOP = 84
const NAMES = 150
const RATES = [NAMES, 560] as const
const SHARES = [700, 930] as const
const OWN = '#2f6f4f'
const OTHER = '#8a9ba8'
const LIGHT = '#c9d3d9'
const GRID = '#e6e6e6'
const STYLE =
  'text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#666}.title{font-size:16px;font-weight:600}'

export function plotOf(report: PeersReport): string {
  const engines = report.engines.filter(({ perSecond }) => perSecond['no-op'] !== undefined)
  const ordered = engines.toSorted((a, b) => noopOf(b) - noopOf(a))
  const bottom = TOP + ROW * ordered.length
  const height = bottom + 74
  const exponents = [1, 2, 3, 4, 5]
  const x = scale([1, 5], RATES)
  const share = scale([0, 100], SHARES)
  const own = noopOf(report.engines[0])
  return element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height },
    element('title', {}, TITLE),
    element('style', {}, STYLE),
    element('rect', { width: WIDTH, height, fill: 'white' }),
    text(20, 30, TITLE, { class: 'title' }),
    text(x(1), 62, 'trivial units a second, end to end (logarithmic)'),
    text(share(0), 62, 'share of the ideal, %'),
    ...exponents.map((exponent) => line(x(exponent), TOP - 8, x(exponent), bottom, { stroke: GRID })),
    ...exponents.map((exponent) =>
      text(x(exponent), bottom + 18, (10 ** exponent).toLocaleString('en-US'), {
        'text-anchor': 'middle',
        class: 'small',
      }),
    ),
    ...[0, 50, 100].map((tick) => line(share(tick), TOP - 8, share(tick), bottom, { stroke: GRID })),
    ...[0, 50, 100].map((tick) =>
      text(share(tick), bottom + 18, String(tick), { 'text-anchor': 'middle', class: 'small' }),
    ),
    ...ordered.flatMap((engine, row) => rowOf(engine, TOP + row * ROW, { x, share, own })),
    element('rect', { x: share(0), y: bottom + 28, width: 10, height: 10, fill: OTHER }),
    text(share(0) + 15, bottom + 37, '50 ms units', { class: 'small' }),
    element('rect', { x: share(0) + 100, y: bottom + 28, width: 10, height: 10, fill: LIGHT }),
    text(share(0) + 115, bottom + 37, '10 ms units', { class: 'small' }),
    text(
      20,
      height - 14,
      `${report.machine}; ${report.rounds === 1 ? 'one round' : `medians of ${report.rounds} interleaved rounds`}`,
      { class: 'small' },
    ),
  )
}

type Scales = { x: (exponent: number) => number; share: (percent: number) => number; own: number }

function rowOf(engine: Measured, y: number, { x, share, own }: Scales): string[] {
  const rate = noopOf(engine)
  const mine = engine.name.startsWith('talkoot')
  const end = x(Math.log10(Math.max(rate, 10)))
  const ratio = rate === own ? '' : ` · ${comparison(own, rate)}`
  const bars = (['50 ms', '10 ms'] as const).flatMap((workload, i) => {
    const efficiency = efficiencyOf(engine, workload)
    if (efficiency === null) return []
    const fill = i === 0 ? (mine ? OWN : OTHER) : mine ? '#9cc5ae' : LIGHT
    const width = share(Math.min(105, 100 * efficiency)) - share(0)
    return [element('rect', { x: share(0), y: y + 2 + i * 11, width, height: 9, fill })]
  })
  return [
    text(NAMES - 10, y + 17, engine.name, { 'text-anchor': 'end' }),
    element('rect', { x: x(1), y: y + 2, width: Math.max(1, end - x(1)), height: 20, fill: mine ? OWN : OTHER }),
    text(end + 6, y + 17, `${Math.round(rate).toLocaleString('en-US')}${ratio}`, { class: 'small' }),
    ...bars,
  ]
}

const comparison = (own: number, rate: number): string => {
  const [times, word] = own >= rate ? [own / rate, 'fewer'] : [rate / own, 'more']
  return `${times.toFixed(times < 10 ? 1 : 0)}x ${word}`
}

const noopOf = (engine: Measured | undefined): number => engine?.perSecond['no-op']?.median ?? 0
