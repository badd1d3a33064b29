/** The few pieces of SVG a plot is made of. Coordinates are pixels. */

export type Scale = ((value: number) => number) & { readonly domain: readonly [number, number] }

export function scale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const factor = (range[1] - range[0]) / (domain[1] - domain[0])
  return Object.assign((value: number) => range[0] + (value - domain[0]) * factor, { domain })
}

type Attributes = Readonly<Record<string, string | number>>

/** An element; text children must be escaped already, by `text`. */
export function element(name: string, attributes: Attributes, ...children: string[]): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(shown(value))}"`)
  const open = `<${name}${list.join('')}`
  return children.length === 0 ? `${open}/>` : `${open}>${children.join('')}</${name}>`
}

export const text = (x: number, y: number, content: string, attributes: Attributes = {}): string =>
  element('text', { x, y, ...attributes }, escaped(content))

export const line = (x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string =>
  element('line', { x1, y1, x2, y2, ...attributes })

export const polyline = (points: readonly (readonly [number, number])[], attributes: Attributes = {}): string =>
  element('path', { d: `M${points.map(([x, y]) => `${shown(x)} ${shown(y)}`).join('L')}`, fill: 'none', ...attributes })

const INK = '#333'
const TICK = 5

type AxisInit = { at: number; scale: Scale; ticks: readonly number[]; label: string; digits?: number }

/** A horizontal axis below the plot, `at` from the top. */
export function xAxis({ at, scale: x, ticks, label, digits = 0 }: AxisInit): string {
  const [from, to] = x.domain
  return [
    line(x(from), at, x(to), at, { stroke: INK }),
    ...ticks.map((tick) => line(x(tick), at, x(tick), at + TICK, { stroke: INK })),
    ...ticks.map((tick) => text(x(tick), at + 19, written(tick, digits), { 'text-anchor': 'middle' })),
    text((x(from) + x(to)) / 2, at + 40, label, { 'text-anchor': 'middle', class: 'label' }),
  ].join('\n')
}

/** A vertical axis left of the plot, `at` from the left. */
export function yAxis({ at, scale: y, ticks, label, digits = 0 }: AxisInit): string {
  const [from, to] = y.domain
  const middle = (y(from) + y(to)) / 2
  return [
    line(at, y(from), at, y(to), { stroke: INK }),
    ...ticks.map((tick) => line(at - TICK, y(tick), at, y(tick), { stroke: INK })),
    ...ticks.map((tick) => text(at - 9, y(tick) + 4, written(tick, digits), { 'text-anchor': 'end' })),
    text(0, 0, label, {
      'text-anchor': 'middle',
      class: 'label',
      transform: `translate(${at - 48} ${middle}) rotate(-90)`,
    }),
  ].join('\n')
}

const written = (tick: number, digits: number): string =>
  tick.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

const shown = (value: string | number): string =>
  typeof value === 'string' ? value : String(Math.round(value * 100) / 100)

const escaped = (value: string): string => value.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
