/** Where two values differ: for the one who must find out why a task does not give the same result twice. */

import type { Json } from '../../../protocol/canonical.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { isRecord, type Tolerance, within } from './agreement.ts'

type Difference = { path: string; a: string; b: string }

const SHOWN_MAX_CHARS = 60
const EXACT: Tolerance = { absolute: 0, relative: 0 }

/** The first part in which they differ by more than allowed, as `result.energy[3]`; null: nowhere. */
export function firstDifference(a: Json, b: Json, tolerance = EXACT, path = 'result', depth = 0): Difference | null {
  if (within(a, b, tolerance, depth)) return null
  const here = { path, a: shown(a), b: shown(b) }
  if (depth > LIMITS.UNIT_VALUE_DEPTH_MAX) return here
  for (const [step, left, right] of parts(a, b)) {
    if (left === undefined || right === undefined) {
      return { path: `${path}${step}`, a: shown(left), b: shown(right) }
    }
    const deeper = firstDifference(left, right, tolerance, `${path}${step}`, depth + 1)
    if (deeper !== null) return deeper
  }
  return here
}

/** What lies one step below both, in the order of their names. */
function parts(a: Json, b: Json): [string, Json | undefined, Json | undefined][] {
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return [['.length', a.length, b.length]]
    return a.map((left, i) => [`[${i}]`, left, b[i]])
  }
  if (!isRecord(a) || !isRecord(b)) return []
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
  const own = (record: { readonly [key: string]: Json }, key: string) =>
    Object.hasOwn(record, key) ? record[key] : undefined
  return keys.map((key) => [step(key), own(a, key), own(b, key)])
}

const step = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${shown(key)}]`)

function shown(value: Json | undefined): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value)
  return text.length <= SHOWN_MAX_CHARS ? text : `${text.slice(0, SHOWN_MAX_CHARS)}...`
}
