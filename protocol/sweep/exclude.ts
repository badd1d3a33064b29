/** Sweeps with points left out: a set of excluded indices, and the middle of a sweep. */

import type { Json } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import { invalid, tooBig } from './fault.ts'
import type { PointSet } from './pointset.ts'
import { bounded } from './product.ts'

/** Without the points that equal one of `patterns` on every field it names. Indices stay dense and in order. */
export function excludeSet(of: PointSet, patterns: readonly Record<string, Json>[], path: string): PointSet {
  const excluded = excludedIndices(of, patterns, path)
  if (excluded.length === of.size) throw invalid(path, 'excludes every point')
  return {
    size: of.size - excluded.length,
    names: of.names,
    maxBytes: of.maxBytes,
    write: (index, into) => of.write(index + excludedBefore(excluded, index), into),
    *matching(pattern) {
      let before = 0
      for (const index of of.matching(pattern)) {
        while (before < excluded.length && (excluded[before] ?? 0) < index) before += 1
        if (excluded[before] !== index) yield index - before
      }
    },
  }
}

/** Points `from` to `to` - 1; like Array.prototype.slice, `to` may lie past the end. */
export function sliceSet(of: PointSet, from: number, to: number, path: string): PointSet {
  const end = Math.min(to, of.size)
  if (from >= end) throw invalid(path, `takes no points: ${from} to ${to} of ${of.size}`)
  return {
    size: end - from,
    names: of.names,
    maxBytes: of.maxBytes,
    write: (index, into) => of.write(from + index, into),
    *matching(pattern) {
      for (const index of of.matching(pattern)) {
        if (index >= end) return
        if (index >= from) yield index - from
      }
    },
  }
}

function excludedIndices(of: PointSet, patterns: readonly Record<string, Json>[], path: string): Uint32Array {
  const all: number[] = []
  for (const [i, fields] of patterns.entries()) {
    const pattern = Object.entries(fields)
    if (pattern.length === 0) throw invalid(`${path}.points.${i}`, 'names no field')
    for (const [name] of pattern) {
      if (!of.names.has(name)) throw invalid(`${path}.points.${i}.${name}`, 'is not a field of the sweep')
    }
    for (const index of bounded(of.matching(pattern), path)) all.push(index)
    if (all.length > LIMITS.SWEEP_EXCLUDED_MAX) {
      throw tooBig(path, `would lose more than ${LIMITS.SWEEP_EXCLUDED_MAX} points`)
    }
  }
  const sorted = Uint32Array.from(all).sort()
  return sorted.filter((index, i) => i === 0 || index !== sorted[i - 1])
}

/** How many excluded indices come before the one that is `index` among those kept: excluded[k] - k never falls. */
function excludedBefore(excluded: Uint32Array, index: number): number {
  let low = 0
  let high = excluded.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((excluded[middle] ?? 0) - middle <= index) low = middle + 1
    else high = middle
  }
  return low
}
