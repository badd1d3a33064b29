/** talkoot among its peers: a node that submits, a node with two slots, the SDK reading each result. */

import { fileURLToPath } from 'node:url'
import { VERSION } from '../../protocol/version.ts'
import { command, grid, type MapOptions, type Result, range, taskAt } from '../../sdk/index.ts'
import { openBareSlots } from '../bare-slots.ts'
import { timed } from '../benchmark.ts'
import { type Pair, startPair, untilAccepted } from '../pair.ts'
import type { Engine, Workload } from './engine.ts'

const noop = taskAt<typeof import('../tasks/noop.task.ts')>(
  fileURLToPath(new URL('../tasks/noop.task.ts', import.meta.url)),
)
const spin = taskAt<typeof import('../tasks/spin.task.ts')>(
  fileURLToPath(new URL('../tasks/spin.task.ts', import.meta.url)),
)

const variant = (name: string, cores: readonly [number, number], policy: MapOptions): Engine => ({
  name,
  workloads: ['no-op', '10 ms', '50 ms', 'process'],
  lastingSeconds: 2,
  missing: () => null,
  start: async () => {
    // Tasks have no clock: how many steps take 1 ms is measured with nothing around them.
    await using bare = await openBareSlots(2)
    const stepsPerMs = (await bare.stepsFor(20)) / 20
    const pair = await startPair(cores)
    return {
      version: VERSION,
      run: (workload, count) => run(pair, workload, count, stepsPerMs, policy),
      [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
    }
  },
})

/** What the ratios refer to. */
export const TALKOOT = variant('talkoot', [0, 2], {})
/** Every unit on both machines and compared: twice the executions of everybody else. */
export const TALKOOT_QUORUM = variant('talkoot, quorum 2', [1, 1], { verify: { quorum: 2 } })

function submit(
  { mesh }: Pair,
  workload: Workload,
  count: number,
  steps: number,
  policy: MapOptions,
): Promise<AsyncIterable<Pick<Result<unknown, unknown>, 'status'>>> {
  const each = range(count)
  if (workload === 'no-op') return mesh.map(noop, grid({ x: each }), policy)
  if (workload === 'process') return mesh.map(command(['/bin/true']), grid({ x: each }), policy)
  return mesh.map(spin, grid({ steps: [steps], x: each }), policy)
}

async function run(
  pair: Pair,
  workload: Workload,
  count: number,
  stepsPerMs: number,
  policy: MapOptions,
): Promise<number> {
  const steps = Math.round(stepsPerMs * Number.parseInt(workload, 10))
  const ms = await timed(async () => untilAccepted(await submit(pair, workload, count, steps, policy), count))
  return ms / 1_000
}
