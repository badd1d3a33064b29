/** Sweeps made of axes: one axis, axes side by side, and every combination of sweeps. */

import { canonicalJson } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import type { CompiledAxis } from './axis.ts'
import { invalid, tooBig } from './fault.ts'
import { type Entry, fieldBytes, type Pattern, type PointSet } from './pointset.ts'

/** The points of one axis. */
export function axisSet(name: string, axis: CompiledAxis): PointSet {
  return {
    size: axis.size,
    names: new Set([name]),
    maxBytes: fieldBytes(name) + axis.maxBytes,
    write: (index, into) => into.push([name, axis.at(index)]),
    matching: ([first]) => (first === undefined ? [] : axis.positionsOf(first[1])),
  }
}

/** Axes of one length, side by side. */
export function zipSet(axes: readonly (readonly [string, CompiledAxis])[], path: string): PointSet {
  const size = axes[0]?.[1].size ?? 0
  const byName = new Map(axes)
  for (const [name, axis] of axes) {
    if (axis.size !== size) throw invalid(`${path}.${name}`, `has ${axis.size} values, the axes before it ${size}`)
  }
  return {
    size,
    names: new Set(byName.keys()),
    maxBytes: axes.reduce((sum, [name, axis]) => sum + fieldBytes(name) + axis.maxBytes, 0),
    write(index, into) {
      for (const [name, axis] of axes) into.push([name, axis.at(index)])
    },
    matching([first, ...others]) {
      const positions = first === undefined ? [] : (byName.get(first[0])?.positionsOf(first[1]) ?? [])
      const wanted = others.map(([name, value]) => [byName.get(name), canonicalJson(value)] as const)
      return positions.filter((i) => wanted.every(([axis, text]) => axis && canonicalJson(axis.at(i)) === text))
    },
  }
}

/** Every combination of the points of several sets; the last one runs fastest. */
export function crossSet(sets: readonly PointSet[], path: string): PointSet {
  const names = new Set<string>()
  let size = 1
  for (const set of sets) {
    for (const name of set.names) {
      if (names.has(name)) throw invalid(`${path}.${name}`, 'is there twice')
      names.add(name)
    }
    size *= set.size
    if (size > LIMITS.SWEEP_UNITS_MAX) throw tooBig(path, `has more than ${LIMITS.SWEEP_UNITS_MAX} points`)
  }
  // How many points of the whole one step of each set is worth.
  const strides = sets.map((_, i) => sets.slice(i + 1).reduce((product, set) => product * set.size, 1))
  return {
    size,
    names,
    maxBytes: sets.reduce((sum, set) => sum + set.maxBytes, 0),
    write(index, into) {
      for (const [i, set] of sets.entries()) {
        set.write(Math.floor(index / (strides[i] ?? 1)) % set.size, into)
      }
    },
    matching: (pattern) => combinations(sets, strides, pattern, path),
  }
}

function* combinations(
  sets: readonly PointSet[],
  strides: readonly number[],
  pattern: Pattern,
  path: string,
): Generator<number> {
  const matched = sets.map((set) => {
    const own: Entry[] = pattern.filter(([name]) => set.names.has(name))
    return own.length === 0 ? undefined : bounded(set.matching(own), path)
  })
  if (matched.some((indices) => indices?.length === 0)) return
  const offsets = sets.map((set, i) => {
    const indices = matched[i] ?? bounded(indicesTo(set.size), path)
    return indices.map((index) => index * (strides[i] ?? 1))
  })
  yield* sums(offsets, 0, 0)
}

/** Every sum of one offset of each list, ascending because every list weighs more than all after it. */
function* sums(offsets: readonly number[][], from: number, base: number): Generator<number> {
  const own = offsets[from]
  if (own === undefined) {
    yield base
    return
  }
  for (const offset of own) yield* sums(offsets, from + 1, base + offset)
}

function* indicesTo(size: number): Generator<number> {
  for (let i = 0; i < size; i += 1) yield i
}

/** Takes what is excluded into memory, up to the limit. */
export function bounded(indices: Iterable<number>, path: string): number[] {
  const taken: number[] = []
  for (const index of indices) {
    if (taken.length === LIMITS.SWEEP_EXCLUDED_MAX) {
      throw tooBig(path, `would lose more than ${LIMITS.SWEEP_EXCLUDED_MAX} points`)
    }
    taken.push(index)
  }
  return taken
}
