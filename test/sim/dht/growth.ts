/** How a figure grows with the size of the mesh: least squares of a + b log2 N, and of c N^p for comparison. */

export type Point = readonly [peers: number, value: number]

export type Growth = {
  /** a + b log2 N, and the part of the variance it explains. */
  log: { a: number; b: number; r2: number }
  /** c N^p, fitted to the logarithms; `r2` of the values themselves. */
  power: { c: number; p: number; r2: number }
}

export function growthOf(points: readonly Point[]): Growth {
  const log = line(points.map(([peers, value]) => [Math.log2(peers), value]))
  const power = line(points.map(([peers, value]) => [Math.log2(peers), Math.log2(Math.max(value, Number.MIN_VALUE))]))
  const c = 2 ** power.a
  return {
    log: { ...log, r2: explained(points, (peers) => log.a + log.b * Math.log2(peers)) },
    power: { c, p: power.b, r2: explained(points, (peers) => c * peers ** power.b) },
  }
}

/**
 * The value of the largest mesh, as a part of what the straight line in log N through the smaller ones foretells (or of the most
 * they had, where chance has the line fall). One or less: it
 * grows no faster than log N. A figure that grew with N would be at about two for sizes three times apart.
 */
export function bend(points: readonly Point[]): number {
  const sorted = points.toSorted(([a], [b]) => a - b)
  const last = sorted.pop()
  if (last === undefined || sorted.length < 2) throw new RangeError('a line needs two points, and one to compare')
  const { a, b } = line(sorted.map(([peers, value]) => [Math.log2(peers), value]))
  const most = Math.max(...sorted.map(([, value]) => value))
  return last[1] / Math.max(most, a + b * Math.log2(last[0]))
}

function line(points: readonly Point[]): { a: number; b: number } {
  const n = points.length
  const [mx, my] = [points.reduce((sum, [x]) => sum + x, 0) / n, points.reduce((sum, [, y]) => sum + y, 0) / n]
  const sxy = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
  const b = sxy / sxx
  return { a: my - b * mx, b }
}

function explained(points: readonly Point[], model: (peers: number) => number): number {
  const mean = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const rest = points.reduce((sum, [x, y]) => sum + (y - model(x)) ** 2, 0)
  const all = points.reduce((sum, [, y]) => sum + (y - mean) ** 2, 0)
  return all === 0 ? 1 : 1 - rest / all
}
