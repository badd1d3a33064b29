/** `npx node examples/pi/main.ts [--local N]`: pi from 2 x 10^8 random points, with the error to expect of it. */

import { grid, range, taskAt } from 'talkoot'
import { withMesh } from '../connect.ts'

const pi = taskAt<typeof import('./pi.task.ts')>(new URL('./pi.task.ts', import.meta.url))

await withMesh(async (mesh, signal) => {
  await using job = await mesh.map(pi, grid({ batch: range(200), n: [1_000_000] }), { name: 'pi', seed: 1978, signal })
  let points = 0
  let inside = 0
  for await (const result of job) {
    if (result.status === 'failed') {
      console.error(`batch ${result.params.batch} failed: ${result.error.message}`)
      continue
    }
    points += result.params.n
    inside += result.value.inside
    process.stderr.write(`\r${points.toExponential(1)} points`)
  }
  // Each point is a Bernoulli trial with p = pi / 4.
  const p = inside / points
  const error = 4 * Math.sqrt((p * (1 - p)) / points)
  console.error()
  console.log(
    `pi = ${(4 * p).toFixed(6)}, standard error ${error.toFixed(6)} (true error ${(4 * p - Math.PI).toFixed(6)})`,
  )
})
