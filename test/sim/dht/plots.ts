/** Six small plots of growth with the size of the mesh, as one SVG. Blue and vermilion of Okabe and Ito: told apart by the colour-blind. */

import { element, line, polyline, type Scale, scale, text, xAxis, yAxis } from '../../../examples/influenza/svg.ts'
import { growthOf, type Point } from './growth.ts'

export type Panel = { title: string; unit: string; points: readonly Point[] }

const COLUMNS = 3
const PANEL = { width: 380, height: 312 }
const FRAME = { left: 78, right: 18, top: 72, bottom: 58 }
const MEASURED = '#0072b2'
const LOG = '#0072b2'
const POWER = '#d55e00'
const STEPS = 60

export function picture(title: string, panels: readonly Panel[]): string {
  const rows = Math.ceil(panels.length / COLUMNS)
  const [width, height] = [COLUMNS * PANEL.width, rows * PANEL.height + 34]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${title}</title>`,
    '<style>text{font:12px Helvetica,Arial,"Liberation Sans",sans-serif;fill:#333}.label{font-size:13px}.head{font-size:14px;font-weight:bold}.fit{font-size:11.5px}</style>',
    element('rect', { width, height, fill: '#fff' }),
    legend(FRAME.left, 20),
    ...panels.map((panel, i) =>
      element(
        'g',
        { transform: `translate(${(i % COLUMNS) * PANEL.width} ${Math.floor(i / COLUMNS) * PANEL.height + 34})` },
        plot(panel),
      ),
    ),
    '</svg>',
    '',
  ].join('\n')
}

function plot({ title, unit, points }: Panel): string {
  const sizes = points.map(([peers]) => peers)
  const top = niceTop(Math.max(...points.map(([, value]) => value)))
  const x = logScale([Math.min(...sizes), Math.max(...sizes)], [FRAME.left + 12, PANEL.width - FRAME.right - 8])
  const y = scale([0, top], [PANEL.height - FRAME.bottom, FRAME.top])
  const ticks = [0, 1, 2, 3, 4].map((fourth) => (top * fourth) / 4)
  const { log, power } = growthOf(points)
  const curve = (model: (peers: number) => number) =>
    Array.from({ length: STEPS + 1 }, (_, step) => {
      const peers = Math.min(...sizes) * (Math.max(...sizes) / Math.min(...sizes)) ** (step / STEPS)
      return [x(peers), y(Math.max(0, model(peers)))] as const
    })
  const sign = log.b < 0 ? '−' : '+'
  return [
    ...ticks.slice(1).map((tick) => line(FRAME.left, y(tick), PANEL.width - FRAME.right, y(tick), { stroke: '#eee' })),
    text(FRAME.left, 22, title, { class: 'head' }),
    text(FRAME.left, 40, `${figure(log.a)} ${sign} ${figure(Math.abs(log.b))} log₂N, R² ${log.r2.toFixed(2)}`, {
      class: 'fit',
    }),
    text(FRAME.left, 56, `N to the power of ${power.p.toFixed(2)}, R² ${power.r2.toFixed(2)}`, { class: 'fit' }),
    polyline(
      curve((peers) => power.c * peers ** power.p),
      { stroke: POWER, 'stroke-width': 1.5, 'stroke-dasharray': '5 4' },
    ),
    polyline(
      curve((peers) => log.a + log.b * Math.log2(peers)),
      { stroke: LOG, 'stroke-width': 1.8 },
    ),
    ...points.map(([peers, value]) => dot(x(peers), y(value))),
    xAxis({ at: PANEL.height - FRAME.bottom, scale: x, ticks: [...new Set(sizes)], label: 'peers in the mesh' }),
    yAxis({ at: FRAME.left, scale: y, ticks, label: unit }),
  ].join('\n')
}

const dot = (cx: number, cy: number): string =>
  element('circle', { cx, cy, r: 4, fill: '#fff', stroke: MEASURED, 'stroke-width': 1.8 })

function legend(x: number, y: number): string {
  return [
    dot(x + 6, y - 4),
    text(x + 18, y, 'simulated, one seed each'),
    line(x + 190, y - 4, x + 222, y - 4, { stroke: LOG, 'stroke-width': 1.8 }),
    text(x + 230, y, 'a + b log₂N'),
    line(x + 330, y - 4, x + 362, y - 4, { stroke: POWER, 'stroke-width': 1.5, 'stroke-dasharray': '5 4' }),
    text(x + 370, y, 'power law, for comparison'),
  ].join('\n')
}

function logScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const inner = scale([Math.log10(domain[0]), Math.log10(domain[1])], range)
  return Object.assign((value: number) => inner(Math.log10(value)), { domain })
}

/** The next of 1, 2, 4, 6, 8 times a power of ten: quarters of it are short to write. */
function niceTop(value: number): number {
  const ten = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 4, 6, 8].find((step) => step * ten >= value) ?? 10) * ten
}

const figure = (value: number): string =>
  Math.abs(value) >= 100
    ? Math.round(value).toLocaleString('en-US').replace('-', '−')
    : value.toPrecision(2).replace('-', '−')
