/** What every part of a sweep compiles to. */

import type { Json } from '../canonical.ts'

export type Entry = readonly [name: string, value: Json]

/** Fields a point must equal, never none. */
export type Pattern = readonly Entry[]

export interface PointSet {
  readonly size: number
  /** Every field that any of its points has. */
  readonly names: ReadonlySet<string>
  /** Appends the fields of point `index`, in their order. */
  write(index: number, into: Entry[]): void
  /** Indices of the points that equal the pattern, ascending. Found from the structure, lazily. */
  matching(pattern: Pattern): Iterable<number>
}
