/**
 * How many units of one job a peer has in its hands: enough to hide the latency, little enough to be rebalanced.
 *
 * The window is steered by the turnaround, the time from giving a unit out to its end: by Little's law it is the
 * window divided by the rate, so scaling the window by target / turnaround makes the turnaround meet the target.
 */

import { LIMITS } from '../../../protocol/limits.ts'

/** A peer's queue should last about two beats: one is then always on its way. */
export const WINDOW_TARGET_MS = 1_500
/** Units that run longer than this are not queued behind one another: a queue would gain nothing. */
const LONG_UNIT_MS = 5_000
/** The rate is measured over at least this long. */
const RATE_SPAN_MS = 100

export type Window = {
  /** Units that may be in flight. */
  size: number
  changedAt: number
  /** Smoothed time from giving a unit out to its end, milliseconds. */
  turnaroundMs: number
  /** Ends per millisecond; 0: not known. */
  rate: number
  ends: number
  markedAt: number
}

export const openWindow = (slots: number, now: number): Window => ({
  size: Math.min(2 * slots, LIMITS.PEER_WINDOW_UNITS_MAX),
  changedAt: now,
  turnaroundMs: 0,
  rate: 0,
  ends: 0,
  markedAt: now,
})

/** After a fault or a rest: one unit shows whether the peer is well again. */
export function shrinkWindow(window: Window, now: number): void {
  window.size = 1
  window.changedAt = now
  window.ends = 0
  window.markedAt = now
}

/** Takes in `ends` attempts that ended together, the last of them after `turnaroundMs`. */
export function measure(window: Window, ends: number, turnaroundMs: number, slots: number, full: boolean, now: number) {
  window.turnaroundMs = window.turnaroundMs === 0 ? turnaroundMs : (window.turnaroundMs + turnaroundMs) / 2
  window.ends += ends
  const span = now - window.markedAt
  if (span >= RATE_SPAN_MS && span >= window.turnaroundMs / 2) {
    const rate = window.ends / span
    window.rate = window.rate === 0 ? rate : (window.rate + rate) / 2
    window.ends = 0
    window.markedAt = now
  }
  if (!full || now - window.changedAt < turnaroundMs) return
  const factor = Math.min(2, Math.max(0.5, WINDOW_TARGET_MS / Math.max(window.turnaroundMs, 1e-3)))
  const long = window.rate > 0 && slots / window.rate > LONG_UNIT_MS
  const least = long ? slots : 2 * slots
  window.size = Math.min(LIMITS.PEER_WINDOW_UNITS_MAX, Math.max(least, Math.round(window.size * factor)))
  window.changedAt = now
}
