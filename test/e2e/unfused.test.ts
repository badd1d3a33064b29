/** Units give the same bytes on a machine that multiplies and adds at once, and on one that cannot: js, WebAssembly and Python. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { grid, type Job, linspace, Mesh, python, taskAt, wasm } from '../../sdk/index.ts'
import { descendantsOf } from '../runtimes/remains.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** Each node makes a snapshot of Python's memory first. */
const READY_DEADLINE_MS = 180_000
const UNITS = 12

const PYTHON = `from math import cos, exp, log, sin, tanh
def unit(x, steps):
    at, sum = x, 0.0
    for _ in range(steps):
        at = abs(sin(9 * exp(at) + log(1.1 + at) - at * (at - 0.1) + (1 + at) ** 13.7 * tanh(at)))
        sum = sum * 0.99 + cos(at)
    return [at, sum]
`

let lab: Lab
let home: NodeProcess
let fused: NodeProcess
let unfused: NodeProcess
beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--cores', '0'])
  const worker = ['--cores', '1', '--python', 'members', '--join', await home.token('--uses', '2')]
  fused = await lab.node('fused', worker)
  unfused = await lab.node('unfused', worker, { env: { NODE_OPTIONS: `--import=${file('./unfused.ts')}` } })
  await until('two peers to run Python', READY_DEADLINE_MS, async () => {
    const peers = await home.askPeers()
    return peers.filter(({ ad }) => ad?.runtimes.some(({ kind }) => kind === 'python')).length === 2
  })
}, READY_DEADLINE_MS)
afterAll(() => lab[Symbol.asyncDispose]())

type Seen = { pid: number; unfused: boolean }

/** What runs inside of its sandboxes, and whether that was told of such a processor. */
async function sandboxesOf({ pid }: NodeProcess): Promise<Seen[]> {
  const told = (of: number, name: string): string[] => {
    try {
      return readFileSync(`/proc/${of}/${name}`, 'utf8').split('\0')
    } catch {
      return []
    }
  }
  return (await descendantsOf(pid)).flatMap((one) => {
    const [line, environment] = [told(one, 'cmdline'), told(one, 'environ')]
    // What has ended meanwhile has no environment.
    if (!line[0]?.endsWith('/deno') || line[1] !== 'run' || environment.length < 2) return []
    const tuned = environment.some((variable) => variable.startsWith('GLIBC_TUNABLES='))
    return [{ pid: one, unfused: tuned && line.some((word) => word.includes('--no-enable-fma3')) }]
  })
}

const verify = { quorum: 2, of: 2 } as const
const chaos = taskAt<typeof import('./tasks/chaos.task.ts')>(file('./tasks/chaos.task.ts'))
const exponent = wasm(file('../../examples/lyapunov/lyapunov.wasm'), { takes: ['r', 'steps'] })

/** What runs a sweep of the kind: sums, products and functions, whose last bits are the first of all that follows. */
const JOBS: Record<string, (mesh: Mesh) => Promise<Job<unknown, unknown>>> = {
  js: (mesh) => mesh.map(chaos, grid({ x: linspace(0.1, 0.9, UNITS), steps: [20_000] }), { verify }),
  wasm: (mesh) => mesh.map(exponent, grid({ r: linspace(3.6, 4, UNITS), steps: [200_000] }), { verify }),
  python: (mesh) => {
    const script = join(lab.folder, 'chaos.py')
    writeFileSync(script, PYTHON)
    return mesh.map(python(script), grid({ x: linspace(0.1, 0.9, UNITS), steps: [5_000] }), { verify })
  },
}

const known = new Set<number>()

it.each(Object.entries(JOBS))('of %s', async (_, submit) => {
  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await submit(mesh)
  const seen: Seen[] = []
  const look = async (): Promise<boolean> => {
    const [all, without] = [await sandboxesOf(fused), await sandboxesOf(unfused)]
    expect([...all.filter((one) => one.unfused), ...without.filter((one) => !one.unfused)]).toEqual([])
    seen.push(...[...all, ...without].filter(({ pid }) => !known.has(pid)))
    return new Set(seen.map((one) => one.unfused)).size === 2
  }
  const [results] = await Promise.all([job.collect(), until('sandboxes of this job on both machines', 180_000, look)])
  for (const { pid } of seen) known.add(pid)
  expect(new Set(results.map(({ value }) => JSON.stringify(value))).size).toBe(UNITS)
  expect(await job.progress()).toMatchObject({ accepted: UNITS, executions: 2 * UNITS, disagreements: 0 })
})
