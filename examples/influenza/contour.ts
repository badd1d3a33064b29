/** Contour lines by marching squares (Lorensen and Cline 1987, in two dimensions). */

export type Point = readonly [x: number, y: number]

/** The polylines, in grid coordinates, along which `value(column, row)` is `level`. */
export function contour(
  columns: number,
  rows: number,
  value: (column: number, row: number) => number,
  level: number,
): Point[][] {
  const segments: [Point, Point][] = []
  for (let column = 0; column + 1 < columns; column += 1) {
    for (let row = 0; row + 1 < rows; row += 1) {
      const corners = [
        [column, row],
        [column + 1, row],
        [column + 1, row + 1],
        [column, row + 1],
      ] as const
      segments.push(...crossings(corners, value, level))
    }
  }
  return joined(segments)
}

/** Where the sides of one cell cross the level, in pairs. A saddle is cut at its four crossings in their order. */
function crossings(
  corners: readonly Point[],
  value: (column: number, row: number) => number,
  level: number,
): [Point, Point][] {
  const found: Point[] = []
  for (const [i, [x0, y0]] of corners.entries()) {
    const [x1, y1] = corners[(i + 1) % corners.length] ?? [x0, y0]
    const here = value(x0, y0) - level
    const there = value(x1, y1) - level
    // Nothing is known around a point without a value.
    if (Number.isNaN(here - there)) return []
    if (here < 0 === there < 0) continue
    const t = here / (here - there)
    // Rounded, so that two cells agree on the point of their common side whichever way round it is computed.
    found.push([round(x0 + t * (x1 - x0)), round(y0 + t * (y1 - y0))])
  }
  const [a, b, c, d] = found
  if (a === undefined || b === undefined) return []
  return c === undefined || d === undefined
    ? [[a, b]]
    : [
        [a, b],
        [c, d],
      ]
}

const round = (x: number): number => Math.round(x * 1e6) / 1e6

function joined(segments: readonly [Point, Point][]): Point[][] {
  const byEnd = new Map<string, [Point, Point][]>()
  for (const segment of segments) {
    for (const end of segment) byEnd.set(String(end), [...(byEnd.get(String(end)) ?? []), segment])
  }
  const used = new Set<[Point, Point]>()
  const follow = (line: Point[]): void => {
    for (;;) {
      const end = line.at(-1)
      const next = byEnd.get(String(end))?.find((segment) => !used.has(segment))
      if (next === undefined) return
      used.add(next)
      line.push(String(next[0]) === String(end) ? next[1] : next[0])
    }
  }
  return segments.flatMap((segment) => {
    if (used.has(segment)) return []
    used.add(segment)
    const line: Point[] = [...segment]
    follow(line)
    line.reverse()
    follow(line)
    return [line]
  })
}
