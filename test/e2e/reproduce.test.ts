/** A unit of a job, run once more on the submitter's own machine. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Jobs, ResultRow } from '../../protocol/api.ts'
import type { Reproduction } from '../../protocol/reproduction.ts'
import { grid, Mesh, range, taskAt } from '../../sdk/index.ts'
import { Lab } from './node-process.ts'

const square = taskAt<typeof import('./tasks/slow-square.task.ts')>(
  fileURLToPath(new URL('./tasks/slow-square.task.ts', import.meta.url)),
)

const SCRIPT = `
echo "counting to $1"; echo "a word" >&2
[ "$1" = 2 ] && { printf 'two is\\nnot for me\\n' >&2; exit 43; }
[ "$1" = 3 ] && kill -SEGV $$
[ "$1" = 4 ] && { while :; do :; done; }
[ "$1" = 5 ] && cat /proc/sys/kernel/random/uuid
cat given.txt
`

it('of a program: writes what it wrote and ends as it ended', async (context) => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  const { runtimes } = await home.json<{ runtimes: { kind: string }[] }>(['status'])
  if (!runtimes.some(({ kind }) => kind === 'command')) return context.annotate('not run: no programs on this machine')
  await lab.node('one', ['--cores', '2', '--join', await home.token()])
  await home.sees(2)
  const [script, given] = [join(lab.folder, 'script.sh'), join(lab.folder, 'given.txt')]
  writeFileSync(script, SCRIPT)
  writeFileSync(given, 'what was given\n')
  const limits = ['--time', '3s', '--retries', '0']
  const flags = ['--param', 'x=0:6:1', '--in', script, '--in', given, ...limits]
  const run = await home.run(['run', ...flags, '--', 'sh', 'script.sh', '{x}'])
  expect(run.code).toBe(5)
  const { jobs } = await home.json<Jobs>(['jobs'])
  const id = jobs[0]?.id ?? ''
  const again = (unit: number, ...more: string[]) => home.run(['job', 'reproduce', id, String(unit), ...more])

  const fine = await again(1)
  expect(fine).toMatchObject({ code: 0, stdout: 'counting to 1\nwhat was given\n', stderr: 'a word\n' })

  const failed = await home.json<{ results: ResultRow[] }>(['job', 'results', id, '--failed'])
  const messages = Object.fromEntries(
    failed.results.map((row) => [row.unit, row.status === 'failed' ? row.error.message : '']),
  )
  const words = 'a word\ntwo is\nnot for me\n'
  expect(messages[2]).toBe(`exit code 43\n${words.trimEnd()}`)
  expect(await again(2)).toMatchObject({ code: 43, stdout: 'counting to 2\n', stderr: words })

  expect(messages[3]).toMatch(/^exit code 139 \(SIGSEGV\)/)
  expect((await again(3)).code).toBe(139)

  const late = await again(4)
  expect(late.code).toBe(5)
  expect(late.stderr).toContain('E_TIMEOUT')

  // What does not repeat is said so.
  const other = await again(5)
  expect(other.code).toBe(0)
  expect(other.stderr).toContain('not as the mesh decided it')
  const told: Reproduction = JSON.parse((await again(2, '--json')).stdout)
  expect(told).toMatchObject({ unit: 2, params: { x: 2 }, exit: { code: 43 }, stderr: words, same: true })
  expect(told.attempt).toMatchObject({ ok: false, code: 'E_EXIT', message: messages[2] })

  const none = await again(6)
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('E_NOT_FOUND')])
})

it('of a function: gives its value again', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(square, grid({ x: range(3), ms: [1] }))
  await job.collect()
  expect(await job.reproduce(2)).toMatchObject({ attempt: { ok: true, value: '4' }, exit: null, same: true })
  expect(await home.run(['job', 'reproduce', job.id, '2'])).toMatchObject({ code: 0, stdout: '4\n', stderr: '' })
})
