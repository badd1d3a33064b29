/** How long a job may take on peers that are known only by what they say. Pure arithmetic. */

export type Capacity = { slots: number; freeSlots: number; speed: number }

type Band = { lowMs: number; likelyMs: number; highMs: number }

export type Work = {
  units: number
  /** Different peers that must run each unit. */
  copies: number
  /** On one slot of speed 1, milliseconds. */
  unitMs: number
  /** Attempts beyond those that are sure, as a share of them. */
  extra: number
  /** By how much units may take longer than `unitMs`, as a share of it. */
  spread: number
}

/** Of busy slots, what others leave for one more job if they share with it. */
const SHARED = 0.5

/**
 * `low`: every slot is free for it. `likely`: busy slots are shared with one other. `high`: only free slots, units longer by
 * `spread`, and the slowest peer has the last one. Null where too few peers are there.
 */
export function finishBand({ units, copies, unitMs, extra, spread }: Work, peers: readonly Capacity[]): Band | null {
  const speeds = peers.filter(({ slots }) => slots > 0).map(({ speed }) => speed)
  if (speeds.length < copies) return null
  const timeWith = (slotsOf: (peer: Capacity) => number) => {
    const rate = unitRate(
      peers.map((peer) => (slotsOf(peer) * peer.speed) / unitMs),
      copies,
    )
    return (units * (1 + extra)) / rate
  }
  const fastest = Math.max(...speeds)
  const slowest = Math.min(...speeds)
  const oneUnit = unitMs / fastest
  const free = (peer: Capacity) => (peer.freeSlots > 0 ? peer.freeSlots : SHARED * peer.slots)
  const lowMs = Math.max(
    oneUnit,
    timeWith(({ slots }) => slots),
  )
  const shared = ({ slots, freeSlots }: Capacity) => freeSlots + SHARED * (slots - freeSlots)
  const likelyMs = Math.max(lowMs, timeWith(shared) + oneUnit / 2)
  const highMs = Math.max(likelyMs, timeWith(free) * (1 + spread) + (unitMs / slowest) * (1 + spread))
  return { lowMs, likelyMs, highMs }
}

/**
 * Units a millisecond that peers of these rates can run if each unit must run on `copies` different ones: however fast the
 * k fastest are, the others must do the remaining `copies - k` of each.
 */
export function unitRate(rates: readonly number[], copies: number): number {
  const sorted = rates.toSorted((a, b) => b - a)
  let left = sorted.reduce((sum, rate) => sum + rate, 0)
  let least = Number.POSITIVE_INFINITY
  for (let k = 0; k < copies; k++) {
    least = Math.min(least, left / (copies - k))
    left -= sorted[k] ?? 0
  }
  return least
}
