/** Loaded into a node that is profiled: how late its event loop was, and its heap, written when it ends. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 1
const HEAP_EVERY_MS = 500

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
let heapMiB = 0
let buffersMiB = 0
const timer = setInterval(() => {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  heapMiB = Math.max(heapMiB, heapUsed / 2 ** 20)
  buffersMiB = Math.max(buffersMiB, arrayBuffers / 2 ** 20)
}, HEAP_EVERY_MS)
timer.unref()

const folder = process.env.BENCH_PROFILE ?? '.'
const name = process.argv[process.argv.indexOf('--name') + 1] ?? 'node'
process.once('exit', () => {
  const at = (percent: number) => delay.percentile(percent) / 1e6 - RESOLUTION_MS
  const lagMs = { p50: at(50), p90: at(90), p99: at(99), max: delay.max / 1e6 - RESOLUTION_MS }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ lagMs, heapMiB, buffersMiB }, null, 2)}\n`)
})
