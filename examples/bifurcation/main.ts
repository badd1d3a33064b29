/**
 * `npx node examples/bifurcation/main.ts [--local N]`: a Python script on 600 points, and the picture in
 * out/bifurcation.svg. The machines that work need python3.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { command, grid, linspace } from 'talkoot'
import { withMesh } from '../connect.ts'
import { diagram } from './diagram.ts'

const logistic = command(['python3', 'logistic.py', '{r}'], {
  inputs: ['logistic.py'],
  cwd: fileURLToPath(new URL('.', import.meta.url)),
})
const RANGE = [2.8, 4] as const

await withMesh(async (mesh, signal) => {
  await using job = await mesh.map(logistic, grid({ r: linspace(...RANGE, 600) }), { name: 'bifurcation', signal })
  const columns: { r: number; visited: number[] }[] = []
  for await (const { params, value, error } of job) {
    if (value === undefined) {
      console.error(`\nr = ${params.r}: ${error.code} ${error.message}`)
      continue
    }
    columns.push({ r: params.r, visited: JSON.parse(value.stdout) })
    process.stderr.write(`\r${columns.length} of 600 points`)
  }
  await mkdir('out', { recursive: true })
  await writeFile('out/bifurcation.svg', diagram(columns, RANGE))
  const first = columns.filter(({ visited }) => visited.length > 1).reduce((least, { r }) => Math.min(least, r), 4)
  console.error()
  console.log(`the first fork is near r = ${first.toFixed(3)} (in theory 3); the picture: out/bifurcation.svg`)
})
