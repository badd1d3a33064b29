/** `npx node examples/lyapunov/main.ts [--local N]`: where the logistic map is chaotic, by a WebAssembly function on 1,201 points. */

import { grid, linspace, wasm } from 'talkoot'
import { withMesh } from '../connect.ts'

const exponent = wasm(new URL('lyapunov.wasm', import.meta.url), { takes: ['r', 'steps'] })

await withMesh(async (mesh, signal) => {
  const sweep = grid({ r: linspace(3.4, 4, 1_201), steps: [50_000] })
  await using job = await mesh.map(exponent, sweep, { name: 'lyapunov', signal })
  const points = await job.collect()
  const chaotic = points.filter(({ value }) => value > 0)
  const onset = Math.min(...chaotic.map(({ params }) => params.r))
  const last = points.find(({ params }) => params.r === 4)?.value ?? Number.NaN
  console.log(
    `chaos from r = ${onset.toFixed(4)} on (in theory 3.5699), on ${chaotic.length} of ${points.length} points`,
  )
  console.log(`at r = 4 the exponent is ${last.toFixed(4)} (in theory ln 2 = ${Math.LN2.toFixed(4)})`)
})
