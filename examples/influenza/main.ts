/** `npx node examples/influenza/main.ts [--local N]`: the fit, with its table and picture in out/influenza. */

import { withMesh } from '../connect.ts'
import { runInfluenza } from './demo.ts'
import { heatMap } from './heat-map.ts'

await withMesh(async (mesh, signal) => {
  const outcome = await runInfluenza(mesh, {
    outDir: 'out/influenza',
    signal,
    onProgress: ({ accepted, units }) => process.stderr.write(`\r${accepted} of ${units} points agreed`),
  })
  const { best, executions, disagreements, files, surface } = outcome
  console.error(`\n${executions} executions, ${disagreements} disagreements`)
  console.log(heatMap(surface))
  console.log(
    `beta ${best.beta.toFixed(3)} per day, gamma ${best.gamma.toFixed(3)} per day, R0 ${best.r0.toFixed(2)}, ` +
      `sum of squares ${best.sse.toFixed(0)}`,
  )
  console.log(Object.values(files).join('\n'))
})
