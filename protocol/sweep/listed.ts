/** Sweeps whose points are stored, or look as random as if they were: matching reads them one by one. */

import { canonicalJson, type Json } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import { positionsByText } from './axis.ts'
import { tooBig } from './fault.ts'
import type { Entry, PointSet } from './pointset.ts'

/** What is known of a list of points before any is looked for. */
export type Listed = Omit<PointSet, 'matching'>

export function listedSet({ size, names, maxBytes, write }: Listed, path: string): PointSet {
  const fieldAt = (index: number, name: string): Json | undefined => {
    const entries: Entry[] = []
    write(index, entries)
    return entries.find(([own]) => own === name)?.[1]
  }
  const indexed = new Map<string, Map<string, number[]>>()
  const positionsOf = (name: string, value: Json): number[] => {
    let positions = indexed.get(name)
    if (positions === undefined) {
      if (size > LIMITS.SWEEP_EXCLUDED_MAX) {
        throw tooBig(path, `has ${size} points to look through, ${LIMITS.SWEEP_EXCLUDED_MAX} at most`)
      }
      // Wrapped, so that a missing field ([]) differs from null ([null]).
      positions = positionsByText(size, (i) => wrap(fieldAt(i, name)))
      indexed.set(name, positions)
    }
    return positions.get(canonicalJson([value])) ?? []
  }
  return {
    size,
    names,
    maxBytes,
    write,
    matching([first, ...others]) {
      if (first === undefined) return []
      const wanted = others.map(([name, value]) => [name, canonicalJson([value])] as const)
      return positionsOf(first[0], first[1]).filter((i) =>
        wanted.every(([name, text]) => canonicalJson(wrap(fieldAt(i, name))) === text),
      )
    },
  }
}

const wrap = (value: Json | undefined): Json[] => (value === undefined ? [] : [value])
