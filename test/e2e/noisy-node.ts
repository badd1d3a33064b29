/** A node altered so that its sandbox gives another result each time, in the last digits of one field. `NAME TOKEN` */

import { pino } from 'pino'
import { settingsSchema } from '../../node/config.ts'
import { startNode } from '../../node/daemon.ts'
import { createJsRuntime, type JsRuntimeInit } from '../../node/runtimes/js/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { statePaths } from '../../protocol/home.ts'
import type { Attempt } from '../../protocol/work.ts'

function noisyRuntime(init: JsRuntimeInit): Runtime {
  const honest = createJsRuntime(init)
  return {
    probe: (signal) => honest.probe(signal),
    stop: () => honest.stop(),
    open(job) {
      const sandbox = honest.open(job)
      return {
        agree: (a, b, signal) => sandbox.agree(a, b, signal),
        close: () => sandbox.close(),
        warm: (signal) => sandbox.warm(signal),
        async *run(units, signal) {
          for await (const attempts of sandbox.run(units, signal)) yield attempts.map(blur)
        },
      }
    },
  }
}

/** As a sum whose order hangs on threads would do. */
function blur(attempt: Attempt): Attempt {
  if (!attempt.ok) return attempt
  const energy = [1, 2, 3, Number(attempt.value) + Math.random() * 1e-6]
  return { ...attempt, value: JSON.stringify({ energy, steps: 7 }) }
}

const [name = 'noisy', join] = process.argv.slice(2)
const node = await startNode({
  paths: statePaths(process.env),
  settings: settingsSchema.parse({ name, cpus: 1, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false }),
  join,
  log: pino({ level: 'silent' }),
  openRuntime: noisyRuntime,
})
await node.stopped
