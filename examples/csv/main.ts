/** `npx node examples/csv/main.ts [--local N]`: one unit for every row of throws.csv; the results in out/throws.csv. */

import { mkdir } from 'node:fs/promises'
import { pipe } from 'it-pipe'
import { csv, toCsv } from 'talkoot'
import { withMesh } from '../connect.ts'
import flight from './throw.task.ts'

await withMesh(async (mesh, signal) => {
  await using job = await mesh.map(flight, csv(new URL('./throws.csv', import.meta.url)), {
    name: 'throws',
    signal,
  })
  for (const { params, value } of await job.collect()) {
    const { range, vacuum } = value
    console.log(
      `${params.ball.padEnd(20)} ${params.angle}°  ${range.toFixed(1).padStart(6)} m  (vacuum ${vacuum.toFixed(1)} m)`,
    )
  }
  await mkdir('out', { recursive: true })
  await pipe(job.results({ order: 'input' }), toCsv('out/throws.csv'))
})
