/**
 * Runs seeds by hand: `node test/sim/run.ts --seed 7 [--count 50] [--peers 100] [--units 500] [--trace]`.
 * With `--scale`, one job of exactly so many units, in faults from beginning to end:
 * `node test/sim/run.ts --scale --peers 10000 --units 1000000`.
 */

import { parseArgs } from 'node:util'
import { liveHeap } from './heap.ts'
import { atScale } from './scale.ts'
import { simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    peers: { type: 'string', default: '100' },
    units: { type: 'string', default: '500' },
    scale: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
})

const [first, peers, units] = [Number(values.seed), Number(values.peers), Number(values.units)]
const heap = liveHeap()
for (let seed = first; seed < first + Number(values.count); seed++) {
  const started = performance.now()
  try {
    const { scenario, ...report } = simulate({
      seed,
      peers,
      units,
      ...(values.scale ? { adapt: atScale(units) } : {}),
      ...(values.trace ? { trace: console.log } : {}),
    })
    const { unitMs, policy } = scenario
    console.log(
      JSON.stringify({
        ...report,
        units: scenario.units,
        unitMs,
        verify: policy.verify,
        agree: policy.agree.kind,
        ms: Math.round(performance.now() - started),
        ...(values.scale ? { heapMiB: Math.round(heap() / 2 ** 20) } : {}),
      }),
    )
  } catch (error) {
    console.log(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
