/** talkoot among its peers: a node that submits, a node with two slots, the SDK reading each result. */

import { fileURLToPath } from 'node:url'
import { VERSION } from '../../protocol/version.ts'
import { command, grid, type MapOptions, type Result, range, taskAt } from '../../sdk/index.ts'
import { openBareSlots } from '../bare-slots.ts'
import { timed } from '../benchmark.ts'
import { startPair, untilAccepted } from '../pair.ts'
import type { Engine } from './engine.ts'

const noop = taskAt<typeof import('../tasks/noop.task.ts')>(
  fileURLToPath(new URL('../tasks/noop.task.ts', import.meta.url)),
)
const spin = taskAt<typeof import('../tasks/spin.task.ts')>(
  fileURLToPath(new URL('../tasks/spin.task.ts', import.meta.url)),
)

/** Units at once. */
const SLOTS = 2

const variant = (name: string, cores: readonly [number, number], policy: MapOptions): Engine => ({
  name,
  workloads: ['no-op', '10 ms', '50 ms', 'process'],
  lastingSeconds: 2,
  missing: () => null,
  start: async () => {
    const bare = await openBareSlots(SLOTS)
    const stepsPerMs = (await bare.stepsFor(20)) / 20
    const pair = await startPair(cores)
    const secondsOf = async (run: Promise<AsyncIterable<Pick<Result, 'status'>>>, count: number) =>
      (await timed(async () => untilAccepted(await run, count))) / 1_000
    return {
      version: VERSION,
      run: async (workload, count) => {
        const each = range(count)
        if (workload === 'no-op') return secondsOf(pair.mesh.map(noop, grid({ x: each }), policy), count)
        if (workload === 'process')
          return secondsOf(pair.mesh.map(command(['/bin/true']), grid({ x: each }), policy), count)
        const unitMs = Number.parseInt(workload, 10)
        const steps = Math.round(stepsPerMs * unitMs)
        const before = await bare.run(count, steps)
        const seconds = await secondsOf(pair.mesh.map(spin, grid({ steps: [steps], x: each }), policy), count)
        const after = await bare.run(count, steps)
        // Tasks have no clock: what a number of steps takes with nothing around them, just before and after, is what they last.
        const bareMs = (before + after) / 2
        return seconds * ((count * unitMs) / SLOTS / bareMs)
      },
      [Symbol.asyncDispose]: async () => {
        await pair[Symbol.asyncDispose]()
        await bare[Symbol.asyncDispose]()
      },
    }
  },
})

/** What the ratios refer to. */
export const TALKOOT = variant('talkoot', [0, 2], {})
/** Every unit on both machines and compared: twice the executions of everybody else. */
export const TALKOOT_QUORUM = variant('talkoot, quorum 2', [1, 1], { verify: { quorum: 2 } })
