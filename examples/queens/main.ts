/** `npx node examples/queens/main.ts [--local N]`: the ways in which 14 queens stand on a board, by a WASI program, column by column. */

import { grid, range, wasi } from 'talkoot'
import { withMesh } from '../connect.ts'

const N = 14
const queens = wasi(new URL('queens.wasm', import.meta.url), [String(N), '{column}'])

await withMesh(async (mesh, signal) => {
  await using job = await mesh.map(queens, grid({ column: range(N) }), { name: 'queens', signal })
  const counts = (await job.collect()).map(({ value }) => Number(value.stdout))
  counts.forEach((count, column) => {
    console.log(`first queen in column ${String(column).padStart(2)}: ${count}`)
  })
  console.log(`${counts.reduce((sum, count) => sum + count, 0)} in all (known: 365596)`)
})
