/** Values of units: canonical JSON (RFC 8785) that is bounded in length and depth. */

import { canonicalJson, type Json } from './canonical.ts'
import { LIMITS } from './limits.ts'

/** Whether a text is canonical JSON of at most the depth allowed. Its length is bounded by the frame's schema. */
export function isPlainValue(text: string): boolean {
  try {
    const value: Json = JSON.parse(text)
    // The depth comes first: what is canonical is found by recursion.
    return isShallow(value, LIMITS.UNIT_VALUE_DEPTH_MAX) && canonicalJson(value) === text
  } catch {
    return false
  }
}

/** Whether objects and lists are nested so many levels at most: what is read by recursion is asked first. */
export function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0) return false
  for (const member of Object.values(value)) if (!isShallow(member, levels - 1)) return false
  return true
}
