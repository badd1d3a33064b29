/** What a benchmark is: some figures, and a way to measure them once. `run.ts` repeats it and takes medians. */

import type { YardstickName } from './yardsticks.ts'

export type FigureInit = {
  /** `/s`, `ms`, `MiB`, `%` ... */
  unit: string
  better: 'more' | 'less'
  /**
   * What the figure is held against, measured in the same run: a rate is divided by the yardstick's, a time multiplied by
   * it. Null: the figure is a ratio, or does not depend on how fast the machine is.
   */
  per: YardstickName | null
  /** What the design asks for on two cores. */
  must?: number
  /** The share by which the ratio may be worse than the baseline's before it counts as a regression. */
  tolerance: number
}

export type Sample = Record<string, number>

export type Benchmark = {
  name: string
  about: string
  figures: Record<string, FigureInit>
  rounds: { full: number; quick: number }
  /** Makes ready what each round uses. `quick`: a tenth of the work, for a first look. */
  open(init: { quick: boolean }): Promise<Rounds>
}

/** A `round` measures every figure once. */
export type Rounds = AsyncDisposable & { round(): Promise<Sample> }

/** How long it takes, milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}
