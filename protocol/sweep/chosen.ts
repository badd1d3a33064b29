/** Some units of a sweep, under the numbers they have in it: those that failed in one job and are run again in another. */

import { z } from 'zod'
import { LIMITS } from '../limits.ts'
import { invalid } from './fault.ts'
import type { CompiledSweep } from './generator.ts'

/** In turns: how many units are passed over, and how many are chosen. [7, 1] is unit 7 alone. */
export const unitRunsSchema = z.array(z.int().min(0).max(LIMITS.SWEEP_UNITS_MAX)).max(2 * LIMITS.UNIT_RUNS_MAX)
type UnitRuns = z.infer<typeof unitRunsSchema>

/** Of units in ascending order. */
export function runsOf(units: Iterable<number>): UnitRuns {
  const runs: UnitRuns = []
  let end = 0
  for (const unit of units) {
    const last = runs.length - 1
    if (unit === end && last > 0) runs[last] = (runs[last] ?? 0) + 1
    else runs.push(unit - end, 1)
    end = unit + 1
  }
  return runs
}

/** @throws E_SWEEP_INVALID when the sweep has no such units */
export function chosenOf(sweep: CompiledSweep, runs: UnitRuns): CompiledSweep {
  const { starts, ends, count } = placesOf(runs)
  if (runs.length % 2 !== 0 || (ends.at(-1) ?? 0) > sweep.size) throw invalid('retryOf.units', 'are not of the sweep')
  return {
    ...sweep,
    count,
    next(after) {
      const run = firstWhere(ends, (end) => end > after + 1)
      return run === ends.length ? sweep.size : Math.max(after + 1, starts[run] ?? 0)
    },
  }
}

/** Where each run begins and ends, that unit not included. @throws E_SWEEP_INVALID */
function placesOf(runs: UnitRuns): { starts: number[]; ends: number[]; count: number } {
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  let count = 0
  for (let i = 0; i + 1 < runs.length; i += 2) {
    const [passed = 0, chosen = 0] = runs.slice(i, i + 2)
    if (chosen === 0 || (passed === 0 && i > 0)) throw invalid('retryOf.units', 'are not in their shortest form')
    starts.push(at + passed)
    at += passed + chosen
    ends.push(at)
    count += chosen
  }
  return { starts, ends, count }
}

/** Of numbers that rise: the first that is so, or their length. */
function firstWhere(numbers: readonly number[], isSo: (number: number) => boolean): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isSo(numbers[middle] ?? 0)) high = middle
    else low = middle + 1
  }
  return low
}
