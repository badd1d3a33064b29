/**
 * Results that depend on the machine: copies of a unit go to machines of one class only, as `alike` of the policy has it.
 * A unit takes the class of whoever is given it first, and has none again when nobody has it and nobody has spoken.
 */

import type { Job, Seat, Unit } from './state.ts'

export const isAlike = (alike: string | null, seat: Seat): boolean => alike === null || alike === seat.alike

/** The seat can be given units from now on (1), or no more (-1). */
export function countClass({ job, alike }: Seat, by: 1 | -1): void {
  const left = (job.classes.get(alike) ?? 0) + by
  if (left > 0) job.classes.set(alike, left)
  else job.classes.delete(alike)
}

/** Usable peers of the largest class. */
export function largestClass(job: Job): number {
  let largest = 0
  for (const peers of job.classes.values()) largest = Math.max(largest, peers)
  return largest
}

/** Call it when the unit has come into hands. */
export function takeClass(unit: Unit, seat: Seat): void {
  if (seat.job.policy.alike !== '') unit.alike ??= seat.alike
}

/** Call it when the unit has left hands. */
export function leaveClass(unit: Unit): void {
  if (unit.alike !== null && unit.holders.every(({ holding }) => holding === 'gone')) unit.alike = null
}
