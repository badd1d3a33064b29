/** Files of points: each machine fetches those of the units it is given, not those of all. */

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Lab, type NodeProcess } from './node-process.ts'

const MiB = 2 ** 20
const POINTS = 48
/** Together over what the small one may keep, and over what is fetched whole. */
const ALL_BYTES = POINTS * MiB
const SMALL_MIB = 14

type Row = { params: { p: number }; value: { stdout: string }; peers: string[] }

let lab: Lab
let home: NodeProcess
let workers: NodeProcess[]
let files: string
const sums: string[] = []
/** Why programs cannot be run here. */
let obstacle: string | null = null

beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--cores', '0', '--disk', '256MiB'])
  const tokens = [await home.token(), await home.token(), await home.token()]
  const started = ['256MiB', '256MiB', `${SMALL_MIB}MiB`].map((disk, at) =>
    lab.node(`far${at}`, ['--cores', '1', '--disk', disk, '--join', tokens[at] ?? '']),
  )
  workers = await Promise.all(started)
  const [far] = workers
  const { runtimes = [] } = (await far?.json<{ runtimes: { kind: string }[] }>(['status'])) ?? {}
  if (!runtimes.some(({ kind }) => kind === 'command')) obstacle = 'no programs on this machine'
  await home.sees(4)
  files = join(lab.folder, 'files')
  mkdirSync(join(files, 'points'), { recursive: true })
  for (let p = 0; p < POINTS; p++) {
    const bytes = Buffer.alloc(MiB, `point ${p} `)
    sums.push(createHash('sha256').update(bytes).digest('hex'))
    writeFileSync(join(files, 'points', `${p}.bin`), bytes)
  }
  writeFileSync(join(files, 'points', 'all.txt'), 'for all')
  writeFileSync(join(files, 'sum.sh'), '#!/bin/sh\nsleep 0.2; cat points/all.txt; sha256sum points/*.bin\n', {
    mode: 0o755,
  })
})
afterAll(() => lab[Symbol.asyncDispose]())

/** Of the files that are kept there for others. */
const keptBytes = ({ home: folder }: NodeProcess): number =>
  readdirSync(join(folder, 'trees'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.bin'))
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)

it('each worker fetches the files of its units, and one without room for all of them serves', async (context) => {
  if (obstacle !== null) return context.annotate(`not run: ${obstacle}`)
  const named = ['--in', 'sum.sh', '--in', 'points/all.txt', '--in', 'points/{p}.bin']
  const args = ['run', '--param', `p=0:${POINTS}:1`, '--json', ...named, '--', './sum.sh']
  const { code, stdout, stderr } = await home.run(args, { cwd: files })
  expect([code, stderr]).toEqual([0, expect.stringContaining(`${POINTS} of ${POINTS} units accepted`)])
  const { results: rows }: { results: Row[] } = JSON.parse(stdout)
  expect(rows).toHaveLength(POINTS)
  for (const { params, value } of rows) expect(value.stdout).toBe(`for all${sums[params.p]}  points/${params.p}.bin`)
  const kept = workers.map(keptBytes)
  // What several have: units given to a second machine at the end, and what was fetched ahead of units that others ran.
  expect(kept.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1.5 * ALL_BYTES)
  for (const bytes of kept) expect(bytes).toBeLessThan(0.75 * ALL_BYTES)
  expect(kept[2]).toBeLessThanOrEqual(SMALL_MIB * MiB)
  const served = await Promise.all(workers.map(async (node) => (await node.json<{ peer: string }>(['status'])).peer))
  for (const peer of served) expect(rows.filter(({ peers }) => peers.includes(peer)).length).toBeGreaterThan(0)
})
