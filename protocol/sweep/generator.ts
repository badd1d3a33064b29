/**
 * Compiles a sweep to a function from index to parameters. Nothing is expanded: the cost of compiling goes with the
 * length of the description (and the file of a rows sweep), the cost of a point with its fields and log(exclusions).
 * The same sweep gives the same points on every machine.
 */

import type { Digest, Json } from '../canonical.ts'
import { TalkootError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import type { Manifest } from '../manifest.ts'
import { compileAxis } from './axis.ts'
import { chosenOf } from './chosen.ts'
import { type DrawnAxis, latinAxes, randomAxes } from './drawn.ts'
import { excludeSet, sliceSet } from './exclude.ts'
import { invalid, tooBig } from './fault.ts'
import { listedSet } from './listed.ts'
import { bytesOf, type Entry, fieldBytes, type PointSet } from './pointset.ts'
import { axisSet, crossSet, zipSet } from './product.ts'
import { parseRows } from './rows.ts'
import type { Axes, Sweep } from './schema.ts'

export type CompiledSweep = {
  /** Indices are 0 to size - 1. */
  readonly size: number
  /** Units: as many as there are indices, unless some were chosen. */
  readonly count: number
  /** The first unit after an index (-1: of all); `size` when there is none. */
  next(after: number): number
  /** Of the parameters that points have, each or some. */
  readonly names: ReadonlySet<string>
  /** @throws RangeError outside 0 to size - 1 */
  point(index: number): Record<string, Json>
}

/** Finds the bytes of a rows sweep by their digest. */
type RowsSource = (blob: Digest) => Uint8Array

/**
 * `sweep` is of the schema already.
 * @throws E_SWEEP_INVALID, E_SWEEP_TOO_BIG, both naming the path of the wrong part, as in `sweep.of.axes.seed`
 */
export function compileSweep(sweep: Sweep, rows?: RowsSource): CompiledSweep {
  const set = compile(sweep, 'sweep', 1, rows)
  if (set.names.size > LIMITS.SWEEP_AXES_MAX) {
    throw tooBig('sweep', `has ${set.names.size} fields, ${LIMITS.SWEEP_AXES_MAX} at most`)
  }
  if (set.maxBytes > LIMITS.PARAMS_MAX_BYTES) {
    throw tooBig('sweep', `has points of up to ${set.maxBytes} bytes, ${LIMITS.PARAMS_MAX_BYTES} at most`)
  }
  return {
    size: set.size,
    count: set.size,
    next: (after) => after + 1,
    names: set.names,
    point(index) {
      if (!Number.isInteger(index) || index < 0 || index >= set.size) {
        throw new RangeError(`point ${index} of a sweep of ${set.size}`)
      }
      const entries: Entry[] = []
      set.write(index, entries)
      return Object.fromEntries(entries)
    },
  }
}

/** Of a job: its sweep, or what it runs again of it. @throws as compileSweep */
export function compileUnits(
  { sweep, retryOf }: Pick<Manifest, 'sweep' | 'retryOf'>,
  rows?: RowsSource,
): CompiledSweep {
  const whole = compileSweep(sweep, rows)
  return retryOf === null ? whole : chosenOf(whole, retryOf.units)
}

/** @throws E_NOT_FOUND */
export function checkUnit({ size, count, next }: CompiledSweep, unit: number): void {
  if (unit < size && next(unit - 1) === unit) return
  const has = count === size ? `units 0 to ${size - 1}` : `${count} of the units 0 to ${size - 1} of its sweep`
  throw new TalkootError('E_NOT_FOUND', `there is no unit ${unit}: the job has ${has}`)
}

function compile(sweep: Sweep, path: string, depth: number, rows: RowsSource | undefined): PointSet {
  if (depth > LIMITS.SWEEP_DEPTH_MAX) throw tooBig(path, `is nested deeper than ${LIMITS.SWEEP_DEPTH_MAX} levels`)
  const set = compileKind(sweep, path, depth, rows)
  if (set.size > LIMITS.SWEEP_UNITS_MAX) {
    throw tooBig(path, `has ${set.size} points, ${LIMITS.SWEEP_UNITS_MAX} at most`)
  }
  return set
}

function compileKind(sweep: Sweep, path: string, depth: number, rows: RowsSource | undefined): PointSet {
  const axesPath = `${path}.axes`
  switch (sweep.kind) {
    case 'product':
      return crossSet(
        compileAxes(sweep.axes, axesPath).map(([name, axis]) => axisSet(name, axis)),
        axesPath,
      )
    case 'zip':
      return zipSet(compileAxes(sweep.axes, axesPath), axesPath)
    case 'points':
      return pointsSet(sweep.points, path)
    case 'rows':
      return rowsSet(sweep, path, rows)
    case 'random':
      checkNames(sweep.axes, axesPath)
      return drawnSet(randomAxes(sweep.axes, sweep.seed, axesPath), sweep.count, path)
    case 'latin':
      checkNames(sweep.axes, axesPath)
      return drawnSet(latinAxes(sweep.axes, sweep.count, sweep.seed, axesPath), sweep.count, path)
    case 'cross':
      return crossSet(
        sweep.of.map((part, i) => compile(part, `${path}.of.${i}`, depth + 1, rows)),
        path,
      )
    case 'exclude':
      return excludeSet(compile(sweep.of, `${path}.of`, depth + 1, rows), sweep.points, path)
    case 'slice':
      return sliceSet(compile(sweep.of, `${path}.of`, depth + 1, rows), sweep.from, sweep.to, path)
  }
}

function compileAxes(axes: Extract<Sweep, { kind: 'zip' }>['axes'], path: string) {
  checkNames(axes, path)
  return axes.map(([name, axis]) => [name, compileAxis(axis, `${path}.${name}`)] as const)
}

function checkNames(axes: Axes<unknown>, path: string): void {
  const names = new Set<string>()
  for (const [name] of axes) {
    if (names.has(name)) throw invalid(`${path}.${name}`, 'is there twice')
    names.add(name)
  }
}

function pointsSet(points: readonly Record<string, Json>[], path: string): PointSet {
  const names = new Set(points.flatMap(Object.keys))
  const maxBytes = points.reduce((most, point) => Math.max(most, bytesOf(point)), 0)
  const write = (index: number, into: Entry[]): void => {
    into.push(...Object.entries(points[index] ?? {}))
  }
  return listedSet({ size: points.length, names, maxBytes, write }, path)
}

function rowsSet(sweep: Extract<Sweep, { kind: 'rows' }>, path: string, source: RowsSource | undefined): PointSet {
  if (source === undefined) throw invalid(path, 'reads rows of a file that is not at hand')
  const rows = parseRows(source(sweep.blob), sweep.format, path)
  if (rows.size !== sweep.count) throw invalid(`${path}.count`, `is ${sweep.count}, the file has ${rows.size} rows`)
  return listedSet(rows, path)
}

function drawnSet(axes: readonly DrawnAxis[], count: number, path: string): PointSet {
  const names = new Set(axes.map(({ name }) => name))
  const maxBytes = axes.reduce((sum, axis) => sum + fieldBytes(axis.name) + axis.maxBytes, 0)
  const write = (index: number, into: Entry[]): void => {
    for (const { name, at } of axes) into.push([name, at(index)])
  }
  return listedSet({ size: count, names, maxBytes, write }, path)
}
