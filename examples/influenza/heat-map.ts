/** The error surface as text for a terminal. */

import { type Rgb, viridis } from './colours.ts'
import type { Surface } from './surface.ts'

export type HeatMapOptions = {
  /** Columns of the terminal. @default 80 */
  width?: number
  /** Colours of the terminal in bits; fewer than 8 draws with characters. @default that of standard output, 1 with NO_COLOR */
  depth?: number
}

const MARGIN = 8
const RAMP = '@%#*+=-:. '

/** Beta to the right, gamma upwards, dark is near the data, `X` the best point. No line is wider than `width`. */
export function heatMap(surface: Surface, options: HeatMapOptions = {}): string {
  const { width = process.stdout.columns ?? 80, depth = terminalDepth() } = options
  const columns = Math.max(10, Math.min(width - MARGIN - 1, 72))
  const rows = Math.max(5, Math.round(columns / 4))
  const cell = cells(surface, columns, rows * 2)
  const marked = bestCell(surface, columns, rows)
  const lines: string[] = []
  for (let row = rows - 1; row >= 0; row -= 1) {
    let line = ''
    for (let column = 0; column < columns; column += 1) {
      const upper = cell(column, row * 2 + 1)
      const lower = cell(column, row * 2)
      const best = marked !== undefined && marked.column === column && marked.row === row
      line += depth >= 8 ? colouredPair(upper, lower, best, depth) : best ? 'X' : shade((upper + lower) / 2)
    }
    const label = row === rows - 1 ? surface.gammas.at(-1) : row === 0 ? surface.gammas[0] : undefined
    const name = row === Math.floor(rows / 2) ? 'gamma' : (label?.toFixed(2) ?? '')
    lines.push(`${name.padStart(MARGIN - 2)} │${line}${depth >= 8 ? '\u001b[0m' : ''}`)
  }
  const [first = 0, last = 0] = [surface.betas[0], surface.betas.at(-1)]
  const room = columns - 8
  const middle = 'beta'.padStart(Math.floor(room / 2) + 2).padEnd(room)
  lines.push(`${' '.repeat(MARGIN - 1)}└${'─'.repeat(columns)}`)
  lines.push(`${' '.repeat(MARGIN)}${first.toFixed(2)}${middle}${last.toFixed(2)}`)
  return lines.join('\n')
}

function terminalDepth(): number {
  const quiet = process.env.NO_COLOR !== undefined && process.env.NO_COLOR !== ''
  return quiet || !process.stdout.isTTY ? 1 : process.stdout.getColorDepth()
}

/** The error of a cell of the picture, 0 (least) to 1, on a logarithmic scale; NaN where nothing is known. */
function cells(surface: Surface, columns: number, rows: number): (column: number, row: number) => number {
  const [low, high] = surface.logRange()
  const nearest = (i: number, of: number, size: number): number => Math.round((i / (of - 1)) * (size - 1))
  return (column, row) => {
    const error = surface.at(nearest(column, columns, surface.betas.length), nearest(row, rows, surface.gammas.length))
    return (Math.log10(error) - low) / (high - low || 1)
  }
}

function bestCell(surface: Surface, columns: number, rows: number): { column: number; row: number } | undefined {
  const { best, betas, gammas } = surface
  if (best === undefined) return undefined
  const place = (value: number, values: readonly number[]): number => {
    const [first = 0, last = 1] = [values[0], values.at(-1)]
    return (value - first) / (last - first)
  }
  return {
    column: Math.round(place(best.beta, betas) * (columns - 1)),
    row: Math.min(rows - 1, Math.floor(place(best.gamma, gammas) * rows)),
  }
}

const shade = (t: number): string =>
  Number.isNaN(t) ? '?' : (RAMP[Math.min(RAMP.length - 1, Math.floor(t * RAMP.length))] ?? ' ')

/** Two cells in one character: the upper in its foreground, the lower in its background. */
function colouredPair(upper: number, lower: number, best: boolean, depth: number): string {
  const back = colour(lower, 48, depth)
  return best ? `\u001b[97;1m${back}X\u001b[0m` : `${colour(upper, 38, depth)}${back}▀`
}

function colour(t: number, layer: 38 | 48, depth: number): string {
  const rgb: Rgb = Number.isNaN(t) ? [128, 128, 128] : viridis(t)
  if (depth >= 24) return `\u001b[${layer};2;${rgb.join(';')}m`
  const [red, green, blue] = rgb.map((part) => Math.round((part / 255) * 5))
  return `\u001b[${layer};5;${16 + 36 * (red ?? 0) + 6 * (green ?? 0) + (blue ?? 0)}m`
}
