/** A node in the rough that runs a container which never ends, to be killed. Arguments: its folder, the image's folder, for how many seconds each of the two processes of the container sleeps. */

import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import { imageAt, imageShell } from './image.ts'

const [scratchDir = '', folder = '', seconds = ''] = process.argv.slice(2)
const { ref, trees } = await imageAt(folder, 'app.tar')
const runtime = createContainerRuntime({ scratchDir })
const source = imageShell(ref, `sleep ${seconds} & sleep ${seconds}`)
const sandbox = runtime.open({ source, trees, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 600_000 })
const units = [{ unit: 0, params: '{"x":0}' }]
for await (const _ of sandbox.run(units, AbortSignal.timeout(600_000)));
