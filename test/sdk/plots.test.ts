import { describe, expect, it } from 'vitest'
import { contour } from '../../examples/influenza/contour.ts'
import { heatMap } from '../../examples/influenza/heat-map.ts'
import { sumOfSquares } from '../../examples/influenza/model.ts'
import { picture } from '../../examples/influenza/picture.ts'
import { Surface } from '../../examples/influenza/surface.ts'

const steps = (from: number, to: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1))

function surface({ without = -1 } = {}): Surface {
  const built = new Surface(steps(1.4, 2, 13), steps(0.38, 0.52, 15))
  let unit = 0
  for (const beta of built.betas) {
    for (const gamma of built.gammas) {
      if (unit !== without) built.add(unit, { beta, gamma, r0: beta / gamma, sse: sumOfSquares(beta, gamma) })
      unit += 1
    }
  }
  return built
}

describe('the heat map', () => {
  it.each([20, 40, 80, 200])('of a terminal of %i columns is no wider, without colours', (width) => {
    const lines = heatMap(surface(), { width, depth: 1 }).split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
    expect(lines.join('')).not.toContain('\u001b')
    expect(lines.join('').split('X')).toHaveLength(2)
  })

  it('in colour ends every line without one', () => {
    for (const depth of [8, 24]) {
      const lines = heatMap(surface(), { width: 60, depth })
        .split('\n')
        .filter((line) => line.includes('\u001b'))
      expect(lines.length).toBeGreaterThan(5)
      for (const line of lines) expect(line.endsWith('\u001b[0m')).toBe(true)
    }
  })

  it('shows a point that failed', () => {
    expect(heatMap(surface({ without: 0 }), { width: 80, depth: 1 })).toContain('?')
  })
})

describe('the picture', () => {
  it.each([-1, 0])('is well-formed and finite, also when point %i failed', (without) => {
    const svg = picture(surface({ without }))
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    const open: string[] = []
    for (const [, close, name = '', self] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name)
      else if (self === '') open.push(name)
    }
    expect(open).toEqual([])
  })
})

describe('contour lines', () => {
  it('of a circle are one closed line on it', () => {
    const lines = contour(41, 41, (x, y) => Math.hypot(x - 20, y - 20), 12.5)
    expect(lines).toHaveLength(1)
    const [line = []] = lines
    expect(line.at(-1)).toEqual(line[0])
    for (const [x, y] of line) expect(Math.hypot(x - 20, y - 20)).toBeCloseTo(12.5, 1)
  })

  it('that leave the grid are open', () => {
    expect(contour(5, 5, (x) => x, 2.5)).toEqual([[4, 3, 2, 1, 0].map((y) => [2.5, y])])
  })
})
