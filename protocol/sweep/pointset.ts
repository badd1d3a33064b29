/** What every part of a sweep compiles to. */

import { canonicalJson, type Json } from '../canonical.ts'

export type Entry = readonly [name: string, value: Json]

/** Fields a point must equal, never none. */
export type Pattern = readonly Entry[]

export interface PointSet {
  readonly size: number
  /** Every field that any of its points has. */
  readonly names: ReadonlySet<string>
  /** No point takes more bytes as canonical JSON. An upper bound, found without looking at points one by one. */
  readonly maxBytes: number
  /** Appends the fields of point `index`, in their order. */
  write(index: number, into: Entry[]): void
  /** Indices of the points that equal the pattern, ascending. Found from the structure, lazily. */
  matching(pattern: Pattern): Iterable<number>
}

/** Longest canonical form of a number: -0.0000012345678901234567. */
export const NUMBER_MAX_BYTES = 25

/** Bytes of a value in canonical JSON. */
export const bytesOf = (value: Json): number => Buffer.byteLength(canonicalJson(value))

/** Bytes of a field around its value: its name, a colon and a comma. */
export const fieldBytes = (name: string): number => bytesOf(name) + 2
