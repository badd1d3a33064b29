/** A lease stands while signs of life come; silence alone ends it. */

import { LIMITS } from '../../../protocol/limits.ts'

export interface LeasePolicy {
  /** Silence after which the peer is looked at, milliseconds. */
  readonly leaseMs: number
  lapsed(silentMs: number): boolean
}

export const lease: LeasePolicy = {
  leaseMs: LIMITS.LEASE_MS,
  lapsed: (silentMs) => silentMs >= LIMITS.LEASE_MS,
}
