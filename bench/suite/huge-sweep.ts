/** A sweep of 3,000,000 points: accepted at once, its first result at once, and no memory for what is not yet begun. */

import { grid, range } from '../../sdk/index.ts'
import type { Benchmark, Sample } from '../benchmark.ts'
import { medianOf } from '../benchmark.ts'
import { memoryOf, startPair } from '../pair.ts'
import { noopTask } from '../tasks/tasks.ts'

const UNITS = 3_000_000
/** Memory is compared between the parts of the job before and after these shares of it. */
const SETTLED_IN = 0.2
const LATE = 0.8

export const hugeSweep: Benchmark = {
  name: '3,000,000 points',
  about: 'submitted on a warm mesh and run to its end, its results read as they come',
  figures: {
    accepted: { unit: 'ms', better: 'less', per: 'cpu', must: 1_000, tolerance: 1 },
    'first result': { unit: 'ms', better: 'less', per: 'cpu', must: 500, tolerance: 1 },
    'submitter grows': { unit: 'MiB', better: 'less', per: null, must: 64, tolerance: 1 },
    'submitter peak': { unit: 'MiB', better: 'less', per: null, must: 400, tolerance: 0.2 },
  },
  rounds: { full: 1, quick: 1 },
  open: async ({ quick }) => {
    const pair = await startPair([0, 2])
    for await (const _ of await pair.mesh.map(noopTask, grid({ x: range(20_000) })));
    return {
      round: async (): Promise<Sample> => {
        const readUnits = quick ? UNITS / 10 : UNITS
        const began = performance.now()
        await using job = await pair.mesh.map(noopTask, grid({ x: range(UNITS) }))
        const accepted = performance.now() - began
        let first = 0
        let count = 0
        const early: number[] = []
        const late: number[] = []
        for await (const _ of job) {
          if (first === 0) first = performance.now() - began
          count += 1
          if (count % 10_000 !== 0) continue
          const share = count / readUnits
          const { nowMiB } = memoryOf(pair.submitter.pid)
          if (share > SETTLED_IN && share <= 2 * SETTLED_IN) early.push(nowMiB)
          if (share > LATE) late.push(nowMiB)
          if (count === readUnits) break
        }
        return {
          accepted,
          'first result': first,
          // A heap that shrinks is no better than one that stays.
          'submitter grows': Math.max(1, medianOf(late) - medianOf(early)),
          'submitter peak': memoryOf(pair.submitter.pid).peakMiB,
        }
      },
      [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
    }
  },
}
