/**
 * The sweep grammar as data: what a manifest stores. Never expanded; `generator.ts` computes any point from its index.
 *
 * Axes are pairs and not the keys of a map: their order decides which one runs fastest, and canonical encodings
 * (RFC 8785, DAG-CBOR) sort keys.
 */

import { z } from 'zod'
import { DIGEST_PATTERN, type Json } from '../canonical.ts'
import { LIMITS } from '../limits.ts'
import { isJson } from '../value.ts'

const json: z.ZodType<Json, Json> = z.json()
const finite = z.number()
const count = z.int().min(1).max(LIMITS.SWEEP_UNITS_MAX)
const seed = z.int().min(0).max(0xffffffff)
const axisName = z.string().min(1).max(120)
const axesOf = <T extends z.ZodType>(axis: T) =>
  z
    .array(z.tuple([axisName, axis]))
    .min(1)
    .max(LIMITS.SWEEP_AXES_MAX)

/** The values one parameter takes, in order. */
const axisSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('list'), values: z.array(json).min(1) }),
  /** from, from + step, ... below `to` (above it for a negative step). */
  z.strictObject({ kind: z.literal('range'), from: finite, to: finite, step: finite }),
  /** `count` values from `from` to `to`, both included. */
  z.strictObject({ kind: z.literal('linspace'), from: finite, to: finite, count }),
  /** `count` values from `from` to `to`, both included, in constant ratio; both of one sign. */
  z.strictObject({ kind: z.literal('logspace'), from: finite, to: finite, count }),
])
export type Axis = z.infer<typeof axisSchema>

/** How a parameter is drawn in a random or latin-hypercube sweep. */
const drawSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('uniform'), from: finite, to: finite }),
  z.strictObject({ kind: z.literal('loguniform'), from: finite, to: finite }),
  /** Whole numbers from `from` to `to`, both included. */
  z.strictObject({ kind: z.literal('integer'), from: z.int(), to: z.int() }),
  z.strictObject({ kind: z.literal('choice'), values: z.array(json).min(1) }),
])
export type Draw = z.infer<typeof drawSchema>

const point = z.record(axisName, json)

/** Axes by name, in order. */
export type Axes<T> = [name: string, axis: T][]

export type Sweep =
  /** Every combination; the last axis runs fastest. */
  | { kind: 'product'; axes: Axes<Axis> }
  /** The first values together, then the second ones, ...; all axes of one length. */
  | { kind: 'zip'; axes: Axes<Axis> }
  | { kind: 'points'; points: Record<string, Json>[] }
  | { kind: 'rows'; blob: string; bytes: number; count: number; format: 'csv' | 'jsonl' }
  | { kind: 'random'; axes: Axes<Draw>; count: number; seed: number }
  | { kind: 'latin'; axes: Axes<Draw>; count: number; seed: number }
  /** Every combination of points of sweeps without a common axis; the last sweep runs fastest. */
  | { kind: 'cross'; of: Sweep[] }
  /** Without the points that equal one of `points` on every field it names. */
  | { kind: 'exclude'; of: Sweep; points: Record<string, Json>[] }
  /** Points `from` to `to` - 1. */
  | { kind: 'slice'; of: Sweep; from: number; to: number }

const anySweep: z.ZodType<Sweep, Sweep> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('product'), axes: axesOf(axisSchema) }),
    z.strictObject({ kind: z.literal('zip'), axes: axesOf(axisSchema) }),
    z.strictObject({ kind: z.literal('points'), points: z.array(point).min(1) }),
    z.strictObject({
      kind: z.literal('rows'),
      blob: z.string().regex(DIGEST_PATTERN),
      bytes: z.int().min(1).max(LIMITS.SWEEP_ROWS_MAX_BYTES),
      count,
      format: z.enum(['csv', 'jsonl']),
    }),
    z.strictObject({ kind: z.literal('random'), axes: axesOf(drawSchema), count, seed }),
    z.strictObject({ kind: z.literal('latin'), axes: axesOf(drawSchema), count, seed }),
    z.strictObject({ kind: z.literal('cross'), of: z.array(anySweep).min(1).max(LIMITS.SWEEP_AXES_MAX) }),
    z.strictObject({ kind: z.literal('exclude'), of: anySweep, points: z.array(point) }),
    z.strictObject({
      kind: z.literal('slice'),
      of: anySweep,
      from: z.int().min(0),
      to: z.int().min(0).max(LIMITS.SWEEP_UNITS_MAX),
    }),
  ]),
)

/** A level of a sweep is an object and perhaps a list; parameters are as deep as results. */
const DEPTH_MAX = 2 * LIMITS.SWEEP_DEPTH_MAX + 4 + LIMITS.UNIT_VALUE_DEPTH_MAX

/** Data from anywhere: what is nested so deep that reading it would exhaust the stack is refused first. */
export const sweepSchema: z.ZodType<Sweep, Sweep> = z
  .custom<Sweep>((value) => isJson(value, DEPTH_MAX), {
    error: `nested deeper than ${DEPTH_MAX} levels, or not such as JSON can say`,
    abort: true,
  })
  .pipe(anySweep)
