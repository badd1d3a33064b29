/** Runs seeds by hand: `node test/sim/run.ts --seed 7 [--count 50] [--peers 100] [--units 500] [--trace]`. */

import { parseArgs } from 'node:util'
import { simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    peers: { type: 'string', default: '100' },
    units: { type: 'string', default: '500' },
    trace: { type: 'boolean', default: false },
  },
})

const first = Number(values.seed)
for (let seed = first; seed < first + Number(values.count); seed++) {
  const started = performance.now()
  try {
    const { scenario, ...report } = simulate({
      seed,
      peers: Number(values.peers),
      units: Number(values.units),
      ...(values.trace ? { trace: console.log } : {}),
    })
    const { units, unitMs, policy } = scenario
    console.log(
      JSON.stringify({
        ...report,
        units,
        unitMs,
        verify: policy.verify,
        agree: policy.agree.kind,
        ms: Math.round(performance.now() - started),
      }),
    )
  } catch (error) {
    console.log(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
