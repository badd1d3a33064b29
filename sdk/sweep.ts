/**
 * Sweeps as a scientist writes them. Each constructor returns a description that knows the type of its points;
 * nothing is expanded, and files are read when the job is submitted.
 */

import { readFile } from 'node:fs/promises'
import { onFile } from '../node/files/file-error.ts'
import type { Json } from '../protocol/canonical.ts'
import { parseRows } from '../protocol/sweep/rows.ts'
import type { Axes, Axis, Draw, Sweep as SweepData } from '../protocol/sweep/schema.ts'

/** Stores the bytes of a file with the node and returns their digest. */
type StoreBytes = (bytes: Uint8Array) => Promise<string>

/** A sweep whose points are `Point`s. */
export type Sweep<Point> = {
  /** What the manifest will hold. */
  toData(store: StoreBytes): Promise<SweepData>
  /** For the compiler only: never there. */
  readonly point?: Point
}

/** The values one parameter takes, in order. */
export type Values<Value> = {
  readonly axis: Axis
  /** For the compiler only: never there. */
  readonly value?: Value
}

/** How one parameter is drawn. */
export type Drawn<Value> = {
  readonly draw: Draw
  /** For the compiler only: never there. */
  readonly value?: Value
}

type AxisInput = readonly Json[] | Values<Json>
type AxisValue<A> = A extends readonly (infer V)[] ? V : A extends Values<infer V> ? V : never
type PointOf<A> = { [K in keyof A]: AxisValue<A[K]> }
type DrawnPoint<D> = { [K in keyof D]: D[K] extends Drawn<infer V> ? V : never }
type Union<T> = (T extends unknown ? (item: T) => void : never) extends (item: infer U) => void ? U : never
type CrossPoint<S extends readonly Sweep<object>[]> = Union<
  { [K in keyof S]: S[K] extends Sweep<infer P> ? P : never }[number]
>
/** Some fields, as JSON values: what `exclude` compares. */
type Partially<Point> = { readonly [K in keyof Point]?: Point[K] }

/**
 * Whole or fractional numbers from `from` (0) up to but without `to`, in steps (1). Decimal steps give the decimals
 * one would write: range(0, 1, 0.1) holds 0.3.
 */
export function range(to: number): Values<number>
export function range(from: number, to: number, step?: number): Values<number>
export function range(first: number, second?: number, step = 1): Values<number> {
  const [from, to] = second === undefined ? [0, first] : [first, second]
  return { axis: { kind: 'range', from, to, step } }
}

/** `count` evenly spaced numbers, both ends included. */
export const linspace = (from: number, to: number, count: number): Values<number> => ({
  axis: { kind: 'linspace', from, to, count },
})

/** `count` numbers in constant ratio, both ends included: logspace(0.01, 100, 5) is 0.01, 0.1, 1, 10, 100. */
export const logspace = (from: number, to: number, count: number): Values<number> => ({
  axis: { kind: 'logspace', from, to, count },
})

/** Any plain data, in order. An array does as well. */
export const list = <const V extends Json>(...values: V[]): Values<V> => ({ axis: { kind: 'list', values } })

/** Every combination of the values; the last parameter runs fastest. */
export const grid = <const A extends Record<string, AxisInput>>(axes: A): Sweep<PointOf<A>> =>
  constant({ kind: 'product', axes: axesOf(axes) })

/** The first values together, then the second ones, ...; all of one length. */
export const zip = <const A extends Record<string, AxisInput>>(axes: A): Sweep<PointOf<A>> =>
  constant({ kind: 'zip', axes: axesOf(axes) })

/** The points themselves. */
export const points = <P extends Record<string, Json>>(list: readonly P[]): Sweep<P> =>
  constant({ kind: 'points', points: [...list] })

/** One cell of a CSV file. */
export type Cell = string | number | boolean | null

/**
 * The rows of a CSV file with a header row. An empty cell is null; a number when it is written as one (`-1.5`, `.5`,
 * `2e-3`, but neither `007` nor whole numbers beyond 2^53); true or false when it is that word; text otherwise.
 */
export const csv = <Row extends object = Record<string, Cell>>(file: string | URL): Sweep<Row> => rows(file, 'csv')

/** The objects of a file with one JSON object a line. */
export const jsonl = <Row extends object = Record<string, Json>>(file: string | URL): Sweep<Row> => rows(file, 'jsonl')

/** `count` points, each parameter drawn by itself. The same seed gives the same points on every machine. */
export const random = <D extends Record<string, Drawn<Json>>>(
  count: number,
  draws: D,
  { seed = 0 }: { seed?: number } = {},
): Sweep<DrawnPoint<D>> => constant({ kind: 'random', axes: drawsOf(draws), count, seed })

/** A Latin hypercube: `count` points, one in each of `count` equally likely strata of every parameter. */
export const latin = <D extends Record<string, Drawn<Json>>>(
  count: number,
  draws: D,
  { seed = 0 }: { seed?: number } = {},
): Sweep<DrawnPoint<D>> => constant({ kind: 'latin', axes: drawsOf(draws), count, seed })

/** Evenly from `from` up to `to`. */
export const uniform = (from: number, to: number): Drawn<number> => ({ draw: { kind: 'uniform', from, to } })

/** Evenly in the logarithm; both ends positive. */
export const loguniform = (from: number, to: number): Drawn<number> => ({ draw: { kind: 'loguniform', from, to } })

/** Whole numbers, both ends included. */
export const integer = (from: number, to: number): Drawn<number> => ({ draw: { kind: 'integer', from, to } })

/** One of the values, all equally likely. */
export const choice = <const V extends Json>(...values: V[]): Drawn<V> => ({ draw: { kind: 'choice', values } })

/** Every combination of points of several sweeps without a common parameter; the last sweep runs fastest. */
export const cross = <const S extends readonly Sweep<object>[]>(...sweeps: S): Sweep<CrossPoint<S>> => ({
  toData: async (store) => ({ kind: 'cross', of: await Promise.all(sweeps.map((sweep) => sweep.toData(store))) }),
})

/** Without the points that equal one of `points` on every field it names. */
export const exclude = <P extends object>(sweep: Sweep<P>, ...points: Partially<NoInfer<P>>[]): Sweep<P> => ({
  toData: async (store) => ({
    kind: 'exclude',
    of: await sweep.toData(store),
    points: points as Record<string, Json>[],
  }),
})

/** Points `from` to `to` - 1, as Array.prototype.slice counts. */
export const slice = <P extends object>(sweep: Sweep<P>, from: number, to: number): Sweep<P> => ({
  toData: async (store) => ({ kind: 'slice', of: await sweep.toData(store), from, to }),
})

const constant = (data: SweepData): Sweep<never> => ({ toData: async () => data })

const rows = (file: string | URL, format: 'csv' | 'jsonl'): Sweep<never> => ({
  async toData(store) {
    const bytes = await onFile(String(file), () => readFile(file))
    const { size } = parseRows(bytes, format, String(file))
    return { kind: 'rows', blob: await store(bytes), bytes: bytes.length, count: size, format }
  },
})

const axesOf = (axes: Record<string, AxisInput>): Axes<Axis> =>
  Object.entries(axes).map(([name, values]) => [
    name,
    'axis' in values ? values.axis : { kind: 'list', values: [...values] },
  ])

const drawsOf = (draws: Record<string, Drawn<Json>>): Axes<Draw> =>
  Object.entries(draws).map(([name, { draw }]) => [name, draw])
