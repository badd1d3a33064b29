/** One decided unit, as a scientist sees it. */

import type { ResultRow } from '../protocol/api.ts'
import type { Json } from '../protocol/canonical.ts'
import { TalkootError } from '../protocol/errors.ts'
import type { Blame } from '../protocol/work.ts'

type Decided<Params> = {
  /** The index of the unit in its sweep. */
  readonly unit: number
  readonly params: Params
  /** Ids of the peers whose results decided it. */
  readonly peers: readonly string[]
  readonly attempts: number
  /** With a confidence to reach: this takes the place of what was given for the unit before. */
  readonly revision?: number
}

export type Accepted<Params, Value> = Decided<Params> & {
  readonly status: 'accepted'
  readonly value: Value
  /** The probability that the value is right, where the job asks for a confidence. */
  readonly confidence?: number
  readonly error?: undefined
  readonly blame?: undefined
}

export type Failed<Params> = Decided<Params> & {
  readonly status: 'failed'
  readonly value?: undefined
  /** Its `code` says what happened. */
  readonly error: TalkootError
  /** Who or what is to blame: the program, the machine, ... */
  readonly blame: Blame
}

/** Narrow it by `status`. */
export type Result<Params = Record<string, Json>, Value = Json> = Accepted<Params, Value> | Failed<Params>

/** The types of parameters and value are those of the task: its schemas checked them inside each unit. */
export function resultOf<Params, Value>(row: ResultRow): Result<Params, Value> {
  const { unit, peers, attempts, revision } = row
  const params = row.params as Params
  const decided = { unit, params, peers, attempts, ...(revision === undefined ? {} : { revision }) }
  if (row.status === 'accepted') {
    const { confidence } = row
    const known = confidence === undefined ? {} : { confidence }
    return { ...decided, status: 'accepted', value: row.value as Value, ...known }
  }
  return { ...decided, status: 'failed', error: TalkootError.fromObject(row.error), blame: row.blame }
}
