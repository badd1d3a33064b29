/** A Python script on two hundred points of four machines, with one large input and files of its own: all of it, from the command line. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Jobs } from '../../protocol/api.ts'
import type { UnitLogs } from '../../protocol/report.ts'
import { Lab } from './node-process.ts'

const INPUT_MIB = 50
/** Sums a stretch of the shared input; writes a table and a plot; one point is not for it. */
const SCRIPT = `
import json, os, sys
x, folder = int(sys.argv[1]), 'out'
print('point', x, file=sys.stderr)
if x == 137: sys.exit('137 is not for me') if not os.path.exists('mended') else None
with open('shared.bin', 'rb') as shared:
    shared.seek(x * 1000)
    total = sum(shared.read(1000))
os.mkdir(folder)
json.dump({'x': x, 'total': total}, open(folder + '/table.json', 'w'))
open(folder + '/plot.pgm', 'wb').write(b'P5 64 64 255 ' + bytes([x]) * 4096)
print(total)
`

it('runs, keeps what each point left, tells of the one that failed, and runs that again', async (context) => {
  if (!existsSync('/usr/bin/python3')) return context.annotate('not run: no python3 on this machine')
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  const { runtimes } = await home.json<{ runtimes: { kind: string }[] }>(['status'])
  if (!runtimes.some(({ kind }) => kind === 'command')) return context.annotate('not run: no programs on this machine')
  const token = await home.token('--uses', '3')
  await Promise.all(['one', 'two', 'three'].map((name) => lab.node(name, ['--cores', '1', '--join', token])))
  await home.sees(4)
  const [script, shared] = [join(lab.folder, 'simulate.py'), join(lab.folder, 'shared.bin')]
  writeFileSync(script, SCRIPT)
  execFileSync('sh', ['-c', `head -c ${INPUT_MIB}M /dev/urandom > ${shared}`])

  const program = ['--', 'python3', 'simulate.py', '{x}']
  const files = ['--in', script, '--in', shared, '--out', 'out']
  const run = await home.run(['run', '--param', 'x=0:200:1', '--retries', '0', ...files, '--json', ...program], {
    timeoutMs: 150_000,
  })
  expect([run.code, run.stderr]).toEqual([5, expect.stringContaining('1 of 200 units')])
  const { jobs } = await home.json<Jobs>(['jobs'])
  const id = jobs[0]?.id ?? ''
  expect(jobs[0]).toMatchObject({ accepted: 199, failed: 1 })
  expect(jobs[0]?.peers.length).toBeGreaterThan(1)
  // Its words, and those of any other.
  const logs = (unit: number) => home.json<UnitLogs>(['job', 'logs', id, String(unit)])
  expect((await logs(137)).attempts[0]).toMatchObject({ exit: { code: 1 }, stderr: 'point 137\n137 is not for me\n' })
  expect((await logs(42)).attempts[0]).toMatchObject({ exit: { code: 0 }, stderr: 'point 42\n' })

  const results = join(lab.folder, 'results')
  const layOut = (...args: string[]) => home.run(['job', 'results', ...args, '--out', results], { timeoutMs: 60_000 })
  expect(await layOut(id)).toMatchObject({ code: 0 })
  expect(readdirSync(join(results, 'units'))).toHaveLength(199)

  mkdirSync(join(lab.folder, 'mended'))
  writeFileSync(join(lab.folder, 'mended', 'yes'), '')
  const mended = [...files, '--in', join(lab.folder, 'mended')]
  const retry = await home.run(['job', 'retry-failed', id, ...mended, '--json', ...program], { timeoutMs: 60_000 })
  expect([retry.code, retry.stderr]).toEqual([0, expect.stringContaining('1 of 1 unit accepted')])
  const [again] = (await home.json<Jobs>(['jobs'])).jobs
  expect(again).toMatchObject({ executions: 1, retryOf: id })
  // Into the same folder: what is there stays, the missing unit comes.
  expect(await layOut(again?.id ?? '', '--all')).toMatchObject({ code: 0 })

  const bytes = readFileSync(shared)
  for (let x = 0; x < 200; x++) {
    const folder = join(results, 'units', String(x).padStart(6, '0'), 'out')
    const total = bytes.subarray(x * 1000, x * 1000 + 1000).reduce((sum, byte) => sum + byte, 0)
    expect(JSON.parse(readFileSync(join(folder, 'table.json'), 'utf8'))).toEqual({ x, total })
    expect(readFileSync(join(folder, 'plot.pgm')).length).toBe(4_109)
  }
  const rows = readFileSync(join(results, 'results.jsonl'), 'utf8').trim().split('\n')
  expect(rows.map((row) => JSON.parse(row).unit)).toEqual(Array.from({ length: 200 }, (_, unit) => unit))
  // A folder of anything else is left as it is.
  expect(await home.run(['job', 'results', id, '--out', lab.folder])).toMatchObject({ code: 2 })
})
