/** A program on a sweep, from the command line and the SDK, on real nodes. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Jobs } from '../../protocol/api.ts'
import type { JobExplanation } from '../../protocol/explanation.ts'
import { command, grid, Mesh, range } from '../../sdk/index.ts'
import { Lab, until } from './node-process.ts'

/** Squares, but for one point that fails with words. */
const SCRIPT = `#!/bin/sh
. ./settings/offset
[ "$1" = 7 ] && { echo "seven is not for me" >&2; exit 3; }
echo $(( $1 * $1 + OFFSET ))
`

it('squares two hundred points on three machines; the point that fails is named with its words', async (context) => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  if (!(await runsPrograms(home))) return context.annotate('not run: no programs on this machine')
  const token = await home.token('--uses', '2')
  await Promise.all(['one', 'two'].map((name) => lab.node(name, ['--cores', '1', '--join', token])))
  await home.sees(3)
  mkdirSync(join(lab.folder, 'settings'))
  writeFileSync(join(lab.folder, 'settings', 'offset'), 'OFFSET=1000\n')
  writeFileSync(join(lab.folder, 'square.sh'), SCRIPT, { mode: 0o755 })
  const files = ['square.sh', 'settings'].flatMap((name) => ['--in', join(lab.folder, name)])
  const out = join(lab.folder, 'out.csv')

  const flags = ['--param', 'x=0:200:1', '--quorum', '2', '--results', out]
  const { code, stderr } = await home.run(['run', ...flags, ...files, '--', './square.sh', '{x}'])
  expect([code, stderr]).toEqual([5, expect.stringContaining('1 of 200 units')])
  const [head, ...rows] = readFileSync(out, 'utf8').trim().split('\n')
  expect(head).toBe('unit,x,stdout,status,error,attempts')
  const squares = rows.flatMap((row) => {
    const [, x, value, status] = row.split(',')
    return status === 'accepted' ? [[Number(x), Number(value)]] : []
  })
  const wanted = Array.from({ length: 200 }, (_, x) => [x, x * x + 1000]).filter(([x]) => x !== 7)
  expect(squares.toSorted(([a = 0], [b = 0]) => a - b)).toEqual(wanted)
  const { jobs } = await home.json<Jobs>(['jobs'])
  const failed = await home.run(['job', 'results', jobs[0]?.id ?? '', '--failed'])
  expect(failed.stdout).toMatch(/7 .*E_EXIT exit code 3 ⏎ seven is not for me/)
  // Mended, only what failed is run again.
  writeFileSync(join(lab.folder, 'square.sh'), SCRIPT.replace('[ "$1" = 7 ]', 'false'), { mode: 0o755 })
  const again = await home.run([
    'job',
    'retry-failed',
    jobs[0]?.id ?? '',
    ...files,
    '--json',
    '--',
    './square.sh',
    '{x}',
  ])
  expect(again.code).toBe(0)
  expect(again.stdout).toContain('"unit":7,"params":{"x":7},')
  expect(again.stdout).toContain('"value":{"stdout":"1049"}')
  expect(again.stderr).toContain('1 of 1 unit accepted')
  const [retry] = (await home.json<Jobs>(['jobs'])).jobs
  expect(retry).toMatchObject({ units: 1, executions: 2, retryOf: jobs[0]?.id, policy: { verify: { agree: 2 } } })
  // Both together are the sweep.
  const { code: all } = await home.run(['job', 'results', retry?.id ?? '', '--all', '--out', out])
  expect(all).toBe(0)
  expect(
    readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.split(',')[2]),
  ).toEqual(Array.from({ length: 200 }, (_, x) => String(x * x + 1000)))
  const { peers } = await home.peers()
  expect(peers.filter(({ self, standing }) => !self && standing.agreed > 0)).toHaveLength(2)
})

it('is not run by an owner who runs no programs of others, and the submitter is told why', async (context) => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  if (!(await runsPrograms(home))) return context.annotate('not run: no programs on this machine')
  mkdirSync(join(lab.folder, 'wary'), { mode: 0o700 })
  writeFileSync(join(lab.folder, 'wary', 'config.json'), '{"commands":"nobody"}')
  const wary = await lab.node('wary', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)

  await using mesh = await Mesh.connect({ home: home.home })
  writeFileSync(join(lab.folder, 'data'), 'text')
  const reads = command(['cat', 'data'], { inputs: [join(lab.folder, 'data')] })
  await using job = await mesh.map(reads, grid({ x: range(3) }))
  const why = () => home.json<JobExplanation>(['explain', job.id])
  await until('the refusal', 60_000, async () => (await why()).waiting.some(({ reason }) => reason === 'refused'))
  expect((await why()).peers.idle).toContainEqual(
    expect.objectContaining({ reason: 'refused', names: ['wary'], codes: ['E_NATIVE_UNTRUSTED'] }),
  )

  await lab.node('willing', ['--cores', '1', '--join', await home.token()])
  expect((await job.collect()).map(({ value }) => value?.stdout).toSorted()).toEqual(['text', 'text', 'text'])
  expect([home, wary].map((node) => readdirSync(join(node.home, 'trees')).length)).toEqual([1, 0])
})

/** `doctor` says why not, where it is so. */
async function runsPrograms(node: { json(args: string[]): Promise<unknown> }): Promise<boolean> {
  const { runtimes } = (await node.json(['status'])) as { runtimes: { kind: string }[] }
  return runtimes.some(({ kind }) => kind === 'command')
}

it('is the Python script of the example', async (context) => {
  if (!existsSync('/usr/bin/python3')) return context.annotate('not run: no python3 on this machine')
  await using mesh = await Mesh.local({ nodes: 1 })
  if (!(await mesh.status()).runtimes.some(({ kind }) => kind === 'command')) {
    return context.annotate('not run: no programs on this machine')
  }
  const cwd = fileURLToPath(new URL('../../examples/bifurcation', import.meta.url))
  const script = command(['python3', 'logistic.py', '{r}'], { inputs: ['logistic.py'], cwd })
  await using job = await mesh.map(script, grid({ r: [2, 3.2, 3.5, 4] }))
  const visited = (await job.collect()).map(({ value }) => JSON.parse(value.stdout))
  // A fixed point, a cycle of two, one of four, and chaos: for 2 and 4 in closed form.
  expect(visited.map((values) => values.length)).toEqual([1, 2, 4, 1])
  expect([visited[0], visited[3]]).toEqual([[0.5], [0]])
})
