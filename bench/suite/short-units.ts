/** Units of 10 ms and 50 ms over two slots, against the same units in the same sandboxes with no mesh around them. */

import { grid, range } from '../../sdk/index.ts'
import { openBareSlots } from '../bare-slots.ts'
import { type Benchmark, type Sample, timed } from '../benchmark.ts'
import { startPair, untilAccepted } from '../pair.ts'
import { noopTask, spinTask } from '../tasks/tasks.ts'

const SLOTS = 2
/** The bare sandboxes have run the loop for a while, too, before they count. */
const WARM_UNITS = 20_000

/** `ms` of one unit; a job lasts `seconds` at best. */
const efficiencyOf = (ms: number, must: number): Benchmark => ({
  name: `${ms} ms units`,
  about: `efficiency over two slots, one on each machine: the time of bare sandboxes for the same units / that of a job`,
  figures: { efficiency: { unit: '%', better: 'more', per: null, must, tolerance: 0.1 } },
  rounds: { full: 5, quick: 2 },
  open: async ({ quick }) => {
    const units = ((quick ? 2 : 8) * SLOTS * 1_000) / ms
    const bare = await openBareSlots(SLOTS)
    const pair = await startPair([1, 1])
    const steps = await bare.stepsFor(ms)
    const throughMesh = (count: number): Promise<number> =>
      timed(async () => untilAccepted(await pair.mesh.map(spinTask, grid({ steps: [steps], x: range(count) })), count))
    for await (const _ of await pair.mesh.map(noopTask, grid({ x: range(WARM_UNITS) })));
    return {
      round: async (): Promise<Sample> => {
        // What the machine does beside us changes from second to second: the ideal is taken before and after.
        const before = await bare.run(units / 2, steps)
        // Processes are warm on either side.
        await throughMesh(SLOTS)
        const measured = await throughMesh(units)
        const after = await bare.run(units / 2, steps)
        // More than all of it is what others took from the ideal.
        return { efficiency: Math.min(100, (100 * (before + after)) / measured) }
      },
      [Symbol.asyncDispose]: async () => {
        await pair[Symbol.asyncDispose]()
        await bare[Symbol.asyncDispose]()
      },
    }
  },
})

export const units10ms = efficiencyOf(10, 90)
export const units50ms = efficiencyOf(50, 95)
