/**
 * `npx node examples/clock/main.ts [--local N]`: over what time a clock is most stable, from 120 MB of readings that every machine
 * fetches once. The machines that work need python3.
 */

import { mkdir, rename, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command, grid, list } from 'talkoot'
import { withMesh } from '../connect.ts'
import { READINGS, writeReadings } from './readings.ts'

const DATA = 'out/readings.f64'
const TIMES = list(1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)

const percent = (part: number): string => `${Math.floor(100 * part)}%`

await mkdir('out', { recursive: true })
if ((await stat(DATA).catch(() => null))?.size !== READINGS * 8) {
  await writeReadings(`${DATA}.part`, (part) => process.stderr.write(`\rmaking ${DATA}: ${percent(part)}`))
  await rename(`${DATA}.part`, DATA)
  console.error()
}
const allan = command(['python3', 'allan.py', 'readings.f64', '{time}'], {
  inputs: ['allan.py', resolve(DATA)],
  cwd: fileURLToPath(new URL('.', import.meta.url)),
})

await withMesh(async (mesh, signal) => {
  const onInputs = ({ step, done, of }: { step: string; done: number; of: number }) =>
    process.stderr.write(`\r${step} files: ${percent(done / of)} `)
  await using job = await mesh.map(allan, grid({ time: TIMES }), { name: 'clock', onInputs, signal })
  console.error()
  const deviations: [time: number, deviation: number][] = []
  for await (const { params, value, error } of job.results({ order: 'input' })) {
    if (value === undefined) throw new Error(`${error.code} ${error.message}`)
    deviations.push([params.time, Number(value.stdout)])
    console.log(`${String(params.time).padStart(9)} readings: ${Number(value.stdout).toExponential(2)}`)
  }
  const [best] = deviations.toSorted(([, a], [, b]) => a - b)
  console.log(`the clock is most stable over ${best?.[0]} readings`)
})
