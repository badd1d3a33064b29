/** The same sweeps as plain lists: what the generator must agree with, written without an eye on cost. */

import { canonicalJson, type Json } from '../../protocol/canonical.ts'
import type { Axis, Sweep } from '../../protocol/sweep/schema.ts'

type Point = Record<string, Json>

/** Sweeps of lists only: what numbers an axis holds has tests of its own. */
export function naivePoints(sweep: Sweep): Point[] {
  switch (sweep.kind) {
    case 'product':
      return sweep.axes.reduce<Point[]>(
        (points, [name, axis]) =>
          points.flatMap((point) => listOf(axis).map((value) => ({ ...point, [name]: value }) as Point)),
        [{}],
      )
    case 'zip':
      return listOf(sweep.axes[0]?.[1]).map((_, i) =>
        Object.fromEntries(sweep.axes.map(([name, axis]) => [name, listOf(axis)[i] ?? null])),
      )
    case 'points':
      return sweep.points
    case 'cross':
      return sweep.of.reduce<Point[]>(
        (points, part) => points.flatMap((point) => naivePoints(part).map((other) => ({ ...point, ...other }))),
        [{}],
      )
    case 'exclude':
      return naivePoints(sweep.of).filter((point) => !sweep.points.some((pattern) => equals(point, pattern)))
    case 'slice':
      return naivePoints(sweep.of).slice(sweep.from, sweep.to)
    default:
      throw new TypeError(`no naive form of ${sweep.kind}`)
  }
}

const listOf = (axis: Axis | undefined): Json[] => {
  if (axis?.kind !== 'list') throw new TypeError('only lists')
  return axis.values
}

const equals = (point: Point, pattern: Point): boolean =>
  Object.entries(pattern).every(
    ([name, value]) => Object.hasOwn(point, name) && canonicalJson(point[name] ?? null) === canonicalJson(value),
  )
