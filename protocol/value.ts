/** Values of units: canonical JSON (RFC 8785) that is bounded in length and depth. */

import { canonicalJson, type Json } from './canonical.ts'
import { LIMITS } from './limits.ts'

/** Whether a text is canonical JSON of at most the depth allowed. Its length is bounded by the frame's schema. */
export function isPlainValue(text: string): boolean {
  try {
    const value: Json = JSON.parse(text)
    // The depth comes first: what is canonical is found by recursion.
    return isJson(value, LIMITS.UNIT_VALUE_DEPTH_MAX) && canonicalJson(value) === text
  } catch {
    return false
  }
}

/** Whether it is data as JSON has it, nested so many levels at most: what is read by recursion, or has a fault in each of its members, is asked first. */
export function isJson(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint' && value !== undefined
  if (levels === 0 || ArrayBuffer.isView(value)) return false
  for (const member of Object.values(value)) if (!isJson(member, levels - 1)) return false
  return true
}
