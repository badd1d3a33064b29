/** A node altered to lie: it changes three in ten of the values its sandbox gives, and signs them. `HOME NAME TOKEN` */

import { pino } from 'pino'
import { settingsSchema } from '../../node/config.ts'
import { startNode } from '../../node/daemon.ts'
import { createJsRuntime, type JsRuntimeInit } from '../../node/runtimes/js/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { statePaths } from '../../protocol/home.ts'
import type { Attempt } from '../../protocol/work.ts'

const LIES = 0.3

function lyingRuntime(init: JsRuntimeInit): Runtime {
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
          for await (const attempts of sandbox.run(units, signal)) yield attempts.map(lie)
        },
      }
    },
  }
}

function lie(attempt: Attempt): Attempt {
  return attempt.ok && Math.random() < LIES ? { ...attempt, value: '666' } : attempt
}

const [name = 'liar', join] = process.argv.slice(2)
const node = await startNode({
  paths: statePaths(process.env),
  settings: settingsSchema.parse({ name, cpus: 1, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false }),
  join,
  log: pino({ level: 'silent' }),
  openRuntime: lyingRuntime,
})
await node.stopped
