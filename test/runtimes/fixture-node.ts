/** A process that opens a js runtime, for tests that need another user or a violent death. Speaks JSON lines. */

import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Confinement } from '../../node/runtimes/runtime.ts'

const [scratchDir = '', confinement = 'os', how = 'once'] = process.argv.slice(2)
const runtime = createJsRuntime({ scratchDir, confinement: confinement as Confinement })
const signal = AbortSignal.timeout(120_000)
const say = (line: unknown): void => console.log(JSON.stringify(line))

if (how === 'refused') {
  await runtime.probe(signal).catch(({ code }) => say({ code }))
  process.exit()
}
say(await runtime.probe(signal))
const source = 'module.exports = (loops) => { if (loops) for (;;); return Math.sin(1) }'
const sandbox = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 120_000 })
for await (const attempts of sandbox.run([{ unit: 0, params: 'false' }], signal)) say(attempts)
if (how === 'loop') {
  const loop = sandbox
    .run([{ unit: 1, params: 'true' }], signal)
    [Symbol.asyncIterator]()
    .next()
  say('looping')
  await loop
}
await runtime.stop()
