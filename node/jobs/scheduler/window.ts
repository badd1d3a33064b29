/**
 * How many units of one job a peer has in its hands: enough to hide the latency, little enough to be rebalanced.
 *
 * The window is steered by the turnaround, the time from giving a unit out to its end: by Little's law it is the
 * window divided by the rate, so scaling the window by target / turnaround makes the turnaround meet the target.
 */

import { LIMITS } from '../../../protocol/limits.ts'

/** What waits at a peer should last so long: longer than its submitter is ever busy with something else. */
const QUEUE_MS = 500
/** A frame has about so much work. */
const FRAME_MS = 100
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

type Ends = { ends: number; turnaroundMs: number; slots: number; latencyMs: number; full: boolean }

export const openWindow = (slots: number, now: number): Window => ({
  // A peer without room for one unit may offer more later.
  size: Math.max(1, Math.min(2 * slots, LIMITS.PEER_WINDOW_UNITS_MAX)),
  changedAt: now,
  turnaroundMs: 0,
  rate: 0,
  ends: 0,
  markedAt: now,
})

/** The turnaround that is aimed at: the way, the unit itself, and the queue before it. */
export const targetMs = (latencyMs: number, unitMs: number): number => latencyMs + unitMs + QUEUE_MS

/** A window is filled up when a quarter of it is free. */
const FILLED_MEAN = 7 / 8

/**
 * Units that a peer has in flight most of the time, if they take it so long, after it has ended so many: a window begins
 * with two for each slot, and doubles at most while it is turned around. `unitMs` null: nobody knows.
 */
export function likelyInFlight(slots: number, unitMs: number | null, ended: number): number {
  if (unitMs === null || unitMs > LONG_UNIT_MS) return slots
  const window = Math.max(2 * slots, (slots * targetMs(0, unitMs)) / unitMs)
  return Math.min(FILLED_MEAN * Math.min(window, LIMITS.PEER_WINDOW_UNITS_MAX), slots + ended / 2)
}

/** Units in one frame. The first is small, so that first results come early. */
export function frameOf({ size, rate, turnaroundMs }: Window, slots: number): number {
  if (turnaroundMs === 0) return Math.min(slots, LIMITS.FRAME_UNITS_MAX)
  const units = rate === 0 ? size / 4 : rate * FRAME_MS
  return Math.min(LIMITS.FRAME_UNITS_MAX, Math.max(slots, Math.ceil(units)))
}

/** After a fault or a rest: one unit shows whether the peer is well again. */
export function shrinkWindow(window: Window, now: number): void {
  window.size = 1
  window.changedAt = now
  window.ends = 0
  window.markedAt = now
}

/** Takes in `ends` attempts that ended together, the last of them after `turnaroundMs`; `full`: it had what it may have. */
export function measure(window: Window, { ends, turnaroundMs, slots, latencyMs, full }: Ends, now: number): void {
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
  const unitMs = window.rate > 0 ? slots / window.rate : 0
  const factor = Math.min(2, Math.max(0.5, targetMs(latencyMs, unitMs) / Math.max(window.turnaroundMs, 1e-3)))
  const long = unitMs > LONG_UNIT_MS
  const least = long ? slots : 2 * slots
  window.size = Math.min(LIMITS.PEER_WINDOW_UNITS_MAX, Math.max(least, Math.round(window.size * factor)))
  window.changedAt = now
}
