/** A Python script on a sweep, from the command line and the SDK, on nodes whose owners offer Python and one whose owner does not. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Jobs } from '../../protocol/api.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import { grid, Mesh, python } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from './node-process.ts'

const ISING = fileURLToPath(new URL('../../examples/ising/ising.py', import.meta.url))
/** The first start makes a snapshot: 5 s of a core, on a machine that runs other tests too. */
const PROVED_DEADLINE_MS = 200_000

let lab: Lab
let home: NodeProcess
beforeAll(async () => {
  lab = new Lab()
  home = await lab.node('home', ['--cores', '1', '--python', 'members'])
  const join = ['--join', await home.token('--uses', '2')]
  await lab.node('other', ['--cores', '1', '--python', 'members', ...join])
  await lab.node('without', ['--cores', '1', ...join])
  await home.sees(3)
  await until('two peers to run Python', PROVED_DEADLINE_MS, async () => {
    const peers = await home.askPeers()
    return peers.filter(({ ad }) => ad?.runtimes.some(({ kind }) => kind === 'python')).length === 2
  })
}, PROVED_DEADLINE_MS)
afterAll(() => lab[Symbol.asyncDispose]())

type Measured = { magnetisation: number; energy: number; susceptibility: number }

it('a function: each value agreed to the bit by two machines, the same from the command line', async () => {
  await using mesh = await Mesh.connect({ home: home.home })
  const ising = python<{ temperature: number; size: number; sweeps: number }, Measured>(ISING)
  const sweep = grid({ temperature: [1.5, 4], size: [8], sweeps: [100] })
  await using job = await mesh.map(ising, sweep, { verify: { quorum: 2, of: 2 } })
  const [cold, hot] = (await job.collect()).toSorted((a, b) => a.params.temperature - b.params.temperature)
  expect(cold?.value.magnetisation).toBeGreaterThan(0.9)
  expect(hot?.value.magnetisation).toBeLessThan(0.5)

  const flags = ['--param', 'temperature=1.5,4', '--param', 'size=8', '--param', 'sweeps=100', '--quorum', '2']
  const { code, stdout, stderr } = await home.run(['run', ...flags, '-o', 'jsonl', ISING])
  expect([code, stderr]).toEqual([0, expect.anything()])
  const [first = '{}'] = stdout
    .trim()
    .split('\n')
    .filter((line) => line.includes('"temperature":1.5'))
  expect(JSON.parse(first).value).toEqual(cold?.value)
})

it('a script with a module of its own, and one point that fails: its words, and the same here', async () => {
  const cwd = join(home.home, '..', 'work')
  mkdirSync(join(cwd, 'src'), { recursive: true })
  writeFileSync(join(cwd, 'src', 'half.py'), 'def half(x):\n    return 10 / x\n')
  writeFileSync(
    join(cwd, 'src', 'script.py'),
    'import sys\nfrom half import half\nprint(half(float(sys.argv[2])))\nprint("logged", file=sys.stderr)\nopen("half-" + sys.argv[2], "w").write("kept")\n',
  )
  const flags = ['--param', 'x=0,4', '--in', 'src/half.py', '--out', 'half-{x}', '-o', 'jsonl']
  const { code, stdout } = await home.run(['run', ...flags, 'src/script.py'], { cwd })
  expect([code, stdout]).toEqual([5, expect.stringContaining('"stdout":"2.5"')])
  const { jobs } = await home.json<Jobs>(['jobs'])
  await home.run(['job', 'results', jobs[0]?.id ?? '', '--out', 'results'], { cwd })
  expect(readFileSync(join(cwd, 'results', 'units', '000001', 'half-4'), 'utf8')).toBe('kept')
  const logs = await home.run(['job', 'logs', jobs[0]?.id ?? '', '1'])
  expect(logs.stdout).toContain('logged')
  const again = await home.run(['job', 'reproduce', jobs[0]?.id ?? '', '0', '--json'])
  const { attempt, same }: Reproduction = JSON.parse(again.stdout)
  const told = /^Traceback .*File "src\/script.py", line 3, in <module>.*ZeroDivisionError: [a-z ]+$/s
  expect(attempt).toMatchObject({ code: 'E_TASK_THREW', message: expect.stringMatching(told) })
  expect(same).toBe(true)
})

it('a file of 60 MiB, on every machine, in units that may use less than that', async () => {
  const cwd = join(home.home, '..', 'large')
  mkdirSync(cwd)
  const bytes = Buffer.alloc(60 * 2 ** 20, 'talkoot')
  writeFileSync(join(cwd, 'large.bin'), bytes)
  writeFileSync(
    join(cwd, 'part.py'),
    'def unit(x):\n    with open("large.bin", "rb") as file:\n        file.seek(x * 10 ** 7)\n        return sum(file.read(10 ** 4))\n',
  )
  const flags = ['--param', 'x=0:6:1', '--memory', '32MiB', '--quorum', '2', '--json', '--in', 'large.bin']
  const { code, stdout, stderr } = await home.run(['run', ...flags, 'part.py'], { cwd })
  expect([code, stderr]).toEqual([0, expect.stringContaining('6 of 6 units accepted')])
  const { results }: { results: { params: { x: number }; value: number; peers: string[] }[] } = JSON.parse(stdout)
  const sumAt = (from: number) => bytes.subarray(from, from + 1e4).reduce((sum, byte) => sum + byte, 0)
  for (const { params, value, peers } of results) expect([value, peers.length]).toEqual([sumAt(params.x * 1e7), 2])
})

it('what a script cannot be given is refused', async () => {
  const refused = await home.run(['run', '--env', 'A=b', ISING])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('E_USAGE --folder, --env and --stdin')])
  const unnamed = await home.run(['run', '--param', 'temperature=1', '--out', '{run}.csv', ISING])
  expect([unnamed.code, unnamed.stderr]).toEqual([2, expect.stringContaining('E_JOB_INVALID the program names {run}')])
})
