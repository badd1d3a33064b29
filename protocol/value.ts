/** Values of units: JSON text that is bounded in length and depth. */

import { LIMITS } from './limits.ts'

/** Whether a text is JSON of at most the depth allowed. Its length is bounded by the frame's schema. */
export function isPlainValue(text: string): boolean {
  try {
    return isShallow(JSON.parse(text), LIMITS.UNIT_VALUE_DEPTH_MAX)
  } catch {
    return false
  }
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0) return false
  for (const member of Object.values(value)) if (!isShallow(member, levels - 1)) return false
  return true
}
