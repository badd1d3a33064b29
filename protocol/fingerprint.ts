import { createHash } from 'node:crypto'

/** A mesh id short enough to compare by eye: the first 32 bits of its SHA-256, as `7f3a-91c2`. */
export function fingerprintOf(meshId: string): string {
  const hex = createHash('sha256').update(meshId).digest('hex')
  return `${hex.slice(0, 4)}-${hex.slice(4, 8)}`
}
