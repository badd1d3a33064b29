/**
 * Agreement groups: who agrees with whom.
 *
 * The group of a value is every voice that agrees with that value. With `exact` groups are disjoint. A tolerance is not
 * transitive (1.0 ~ 1.1 ~ 1.2), so groups may overlap. They depend on which voices there are, never on their order.
 */

import type { Json } from '../../../protocol/canonical.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Agree } from '../../../protocol/manifest.ts'
import type { JudgedVoice, SaidValue } from './verification.ts'
import { pairKey } from './verification.ts'

/** Whether two different values agree; null: not known yet, must be compared. */
export type Relation = (a: SaidValue, b: SaidValue, answers: ReadonlyMap<string, boolean>) => boolean | null

export function relationOf(agree: Agree): Relation {
  if (agree.kind === 'exact') return () => false
  if (agree.kind === 'function') return (a, b, answers) => answers.get(pairKey(a.digest, b.digest)) ?? null
  return (a, b) => {
    const [left, right] = [parsed(a.value), parsed(b.value)]
    return left !== undefined && right !== undefined && within(left, right, agree)
  }
}

/** The values are a peer's words: what is no JSON agrees with nothing. */
function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Everybody who agrees with one value, or says one failure code. `key` names it: the digest, or the code after a "!". */
export type Group = { key: string; said: JudgedVoice['said']; voices: JudgedVoice[] }

/** The group of every value and failure said, in no order, and the pairs of values that must be compared first. */
export function groupsOf(
  voices: readonly JudgedVoice[],
  relation: Relation,
  answers: ReadonlyMap<string, boolean>,
): { groups: Group[]; unknown: [string, string][] } {
  const same = new Map<string, Group>()
  for (const voice of voices) {
    const key = voice.said.ok ? voice.said.digest : `!${voice.said.code}`
    const known = same.get(key)
    if (known === undefined) same.set(key, { key, said: voice.said, voices: [voice] })
    else known.voices.push(voice)
  }
  const groups = [...same.values()]
  if (groups.length < 2) return { groups, unknown: [] }
  const unknown: [string, string][] = []
  const merged = groups.map((group) => ({ ...group, voices: [...group.voices] }))
  for (const [i, { key, said, voices: here }] of groups.entries()) {
    for (let j = i + 1; j < groups.length; j++) {
      const other = groups[j]
      if (other === undefined || !said.ok || !other.said.ok) continue
      const agree = relation(said, other.said, answers)
      if (agree === null) unknown.push(key < other.key ? [key, other.key] : [other.key, key])
      if (agree !== true) continue
      merged[i]?.voices.push(...other.voices)
      merged[j]?.voices.push(...here)
    }
  }
  return { groups: merged, unknown }
}

export type Tolerance = { absolute: number; relative: number }

/**
 * Numbers within `absolute + relative * max(|a|, |b|)`; records and arrays part by part; everything else exactly.
 * What is nested deeper than UNIT_VALUE_DEPTH_MAX agrees with nothing.
 */
export function within(a: Json, b: Json, tolerance: Tolerance, depth = 0): boolean {
  if (depth > LIMITS.UNIT_VALUE_DEPTH_MAX) return false
  if (typeof a === 'number' && typeof b === 'number') {
    const allowed = tolerance.absolute + tolerance.relative * Math.max(Math.abs(a), Math.abs(b))
    return a === b || Math.abs(a - b) <= allowed
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => within(item, b[i] ?? null, tolerance, depth + 1))
  }
  if (isRecord(a) && isRecord(b)) {
    const keys = Object.keys(a)
    if (keys.length !== Object.keys(b).length) return false
    return keys.every((key) => {
      const [left, right] = [a[key], b[key]]
      return (
        left !== undefined && right !== undefined && Object.hasOwn(b, key) && within(left, right, tolerance, depth + 1)
      )
    })
  }
  return a === b
}

export const isRecord = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
