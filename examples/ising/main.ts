/** `npx node examples/ising/main.ts [--local N]`: where iron stops to be a magnet, by a Python script, temperature by temperature. */

import { grid, linspace, python } from 'talkoot'
import { withMesh } from '../connect.ts'

type Point = { temperature: number }
type Measured = { magnetisation: number; energy: number; susceptibility: number }

const ising = python<Point, Measured>(new URL('ising.py', import.meta.url))

await withMesh(
  async (mesh, signal) => {
    // A machine says that it runs Python once it has shown it: the job waits for the first.
    const { peers } = await mesh.peers()
    if (!peers.some(({ ad }) => ad?.runtimes.some(({ kind }) => kind === 'python')))
      console.error('no machine runs Python yet; the job waits for one: talkoot up --python members')
    const options = { name: 'ising', queue: true, signal }
    await using job = await mesh.map(ising, grid({ temperature: linspace(1.6, 3.2, 17) }), options)
    const measured = await job.collect()
    for (const { params, value } of measured.toSorted((a, b) => a.params.temperature - b.params.temperature)) {
      const bar = '#'.repeat(Math.round(value.magnetisation * 50))
      console.log(`${params.temperature.toFixed(1)}  ${value.magnetisation.toFixed(3)}  ${bar}`)
    }
    console.log('it falls at 2.269 where the lattice is without end (Onsager, 1944)')
  },
  { python: true },
)
