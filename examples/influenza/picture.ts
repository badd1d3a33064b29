/** The figure: the data against the best fit, and the error over both rates. */

import { hex, viridis } from './colours.ts'
import { contour } from './contour.ts'
import { IN_BED, infected } from './model.ts'
import type { Fit, Surface } from './surface.ts'
import { element, line, polyline, type Scale, scale, text, xAxis, yAxis } from './svg.ts'

const WIDTH = 1_060
const HEIGHT = 452
const TOP = 54
const BOTTOM = 386
const DATA = { left: 74, right: 474 }
const MAP = { left: 600, right: 948 }
const BAR = { left: 970, right: 986 }

const CURVE = '#c0392b'
const BANDS = 48
const LEVELS = [5e3, 1e4, 2e4, 5e4, 1e5]
/** Upper 5% point of the F distribution with 2 and n - 2 = 12 degrees of freedom. */
const F_2_12 = 3.885

export function picture(surface: Surface): string {
  const { best } = surface
  if (best === undefined) throw new RangeError('a surface without a point has no picture')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title">`,
    '<title id="title">SIR model fitted to the influenza outbreak in an English boarding school, 1978</title>',
    '<style>text{font:12px Helvetica,Arial,"Liberation Sans",sans-serif;fill:#333}.label{font-size:13px}.panel{font-size:15px;font-weight:bold}.head{font-size:13px}.small{font-size:11px}</style>',
    element('rect', { width: WIDTH, height: HEIGHT, fill: '#fff' }),
    dataPanel(best),
    surfacePanel(surface, best),
    '</svg>',
    '',
  ].join('\n')
}

function dataPanel(best: Fit): string {
  const days = IN_BED.length
  const x = scale([0, days - 1], [DATA.left + 10, DATA.right])
  const y = scale([0, 320], [BOTTOM, TOP])
  const curve = infected(best.beta, best.gamma, days, 24).map((boys, hour) => [x(hour / 24), y(boys)] as const)
  const ticks = [0, 50, 100, 150, 200, 250, 300]
  const legend = { x: x(7.6), y: TOP + 14 }
  const facts = [
    `β = ${best.beta.toFixed(3)} per day`,
    `γ = ${best.gamma.toFixed(3)} per day`,
    `R₀ = β/γ = ${best.r0.toFixed(2)}`,
    `sum of squares ${Math.round(best.sse)}`,
  ]
  return element(
    'g',
    { id: 'data' },
    heading('a', 'Boys confined to bed, and the best fit', DATA.left),
    ...ticks.slice(1).map((tick) => line(DATA.left, y(tick), DATA.right, y(tick), { stroke: '#eee' })),
    polyline(curve, { stroke: CURVE, 'stroke-width': 2, 'stroke-linejoin': 'round' }),
    ...IN_BED.map((boys, day) =>
      element('circle', { cx: x(day), cy: y(boys), r: 4, fill: '#fff', stroke: '#222', 'stroke-width': 1.5 }),
    ),
    element('circle', { cx: legend.x + 11, cy: legend.y - 4, r: 4, fill: '#fff', stroke: '#222', 'stroke-width': 1.5 }),
    text(legend.x + 30, legend.y, 'counted'),
    line(legend.x, legend.y + 15, legend.x + 22, legend.y + 15, { stroke: CURVE, 'stroke-width': 2 }),
    text(legend.x + 30, legend.y + 19, 'SIR model'),
    ...facts.map((fact, i) => text(legend.x + 30, legend.y + 44 + 18 * i, fact, { class: 'small' })),
    xAxis({ at: BOTTOM + 8, scale: x, ticks: [0, 2, 4, 6, 8, 10, 12], label: 'Day' }),
    yAxis({ at: DATA.left, scale: y, ticks, label: 'Boys in bed' }),
  )
}

function surfacePanel(surface: Surface, best: Fit): string {
  const x = scale(ends(surface.betas), [MAP.left, MAP.right])
  const y = scale(ends(surface.gammas), [BOTTOM, TOP])
  const region = best.sse * (1 + (2 / (IN_BED.length - 2)) * F_2_12)
  const [bestX, bestY] = [x(best.beta), y(best.gamma)]
  return element(
    'g',
    { id: 'surface' },
    heading('b', 'Sum of squared errors', MAP.left),
    cells(surface, x, y),
    ...LEVELS.flatMap((level) =>
      levelLines(surface, x, y, level, { stroke: '#fff', 'stroke-width': 0.7, opacity: 0.75 }),
    ),
    ...levelLines(surface, x, y, region, { stroke: '#fff', 'stroke-width': 1.8, 'stroke-dasharray': '5 3' }),
    line(bestX - 6, bestY, bestX + 6, bestY, { stroke: '#fff', 'stroke-width': 2 }),
    line(bestX, bestY - 6, bestX, bestY + 6, { stroke: '#fff', 'stroke-width': 2 }),
    ...key(),
    xAxis({
      at: BOTTOM,
      scale: x,
      ticks: [1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2],
      label: 'Infection rate β (per day)',
      digits: 1,
    }),
    yAxis({
      at: MAP.left,
      scale: y,
      ticks: [0.38, 0.4, 0.42, 0.44, 0.46, 0.48, 0.5, 0.52],
      label: 'Recovery rate γ (per day)',
      digits: 2,
    }),
    colourBar(surface),
  )
}

const heading = (panel: string, title: string, left: number): string =>
  text(left - 48, 28, panel, { class: 'panel' }) + text(left, 28, title, { class: 'head' })

const ends = (values: readonly number[]): [number, number] => [values[0] ?? 0, values.at(-1) ?? 1]

/** Grid points as cells of one of a few colours: a path a colour, a rectangle for cells of it that follow each other. */
function cells(surface: Surface, x: Scale, y: Scale): string {
  const [low, high] = surface.logRange()
  const { betas, gammas } = surface
  const band = (i: number, j: number): number =>
    Math.min(BANDS - 1, Math.floor(((Math.log10(surface.at(i, j)) - low) / (high - low || 1)) * BANDS))
  const edge = (i: number, of: Scale, size: number): number => {
    const [from, to] = of.domain
    return of(Math.min(to, Math.max(from, from + ((to - from) * (i - 0.5)) / (size - 1))))
  }
  // Edges are rounded, and sizes taken between them: rounded sizes would leave hairlines between the cells.
  const round = (pixels: number): number => Math.round(pixels * 100) / 100
  const paths = new Map<string, string>()
  for (let j = 0; j < gammas.length; j += 1) {
    const upper = round(edge(j + 1, y, gammas.length))
    const height = round(round(edge(j, y, gammas.length)) - upper)
    for (let i = 0; i < betas.length; ) {
      const start = i
      const own = band(i, j)
      while (i < betas.length && Object.is(band(i, j), own)) i += 1
      const left = round(edge(start, x, betas.length))
      const width = round(round(edge(i, x, betas.length)) - left)
      const fill = Number.isNaN(own) ? '#999' : hex(viridis((own + 0.5) / BANDS))
      paths.set(fill, `${paths.get(fill) ?? ''}M${left} ${upper}h${width}v${height}h${-width}z`)
    }
  }
  const drawn = [...paths].map(([fill, d]) => element('path', { d, fill }))
  return element('g', { 'shape-rendering': 'crispEdges' }, ...drawn)
}

function levelLines(
  surface: Surface,
  x: Scale,
  y: Scale,
  level: number,
  style: Record<string, string | number>,
): string[] {
  const { betas, gammas } = surface
  const along = (values: readonly number[], place: number): number => {
    const [from, to] = ends(values)
    return from + ((to - from) * place) / (values.length - 1)
  }
  const lines = contour(betas.length, gammas.length, (i, j) => Math.log10(surface.at(i, j)), Math.log10(level))
  return lines.map((points) =>
    polyline(
      points.map(([i, j]) => [x(along(betas, i)), y(along(gammas, j))]),
      style,
    ),
  )
}

function key(): string[] {
  const [least, region, y] = [MAP.right - 128, MAP.right - 26, 24]
  const swatch = (x: number): string =>
    element('rect', { x, y: y - 9, width: 26, height: 18, fill: hex(viridis(0.15)) })
  return [
    swatch(least),
    line(least + 7, y, least + 19, y, { stroke: '#fff', 'stroke-width': 2 }),
    line(least + 13, y - 6, least + 13, y + 6, { stroke: '#fff', 'stroke-width': 2 }),
    text(least + 32, y + 4, 'least error', { class: 'small' }),
    swatch(region),
    line(region, y, region + 26, y, { stroke: '#fff', 'stroke-width': 1.8, 'stroke-dasharray': '5 3' }),
    text(region + 32, y + 4, '95% region', { class: 'small' }),
  ]
}

function colourBar(surface: Surface): string {
  const [low, high] = surface.logRange()
  const y = scale([low, high], [BOTTOM, TOP])
  const step = (BOTTOM - TOP) / BANDS
  const ticks = [5e3, 1e4, 2e4, 5e4, 1e5].filter((error) => Math.log10(error) > low && Math.log10(error) < high)
  return [
    ...Array.from({ length: BANDS }, (_, i) =>
      element('rect', {
        x: BAR.left,
        y: BOTTOM - (i + 1) * step,
        width: BAR.right - BAR.left,
        height: step + 0.3,
        fill: hex(viridis((i + 0.5) / BANDS)),
      }),
    ),
    ...ticks.map((error) =>
      line(BAR.right, y(Math.log10(error)), BAR.right + 5, y(Math.log10(error)), { stroke: '#333' }),
    ),
    ...ticks.map((error) => text(BAR.right + 9, y(Math.log10(error)) + 4, error.toLocaleString('en'))),
  ].join('\n')
}
