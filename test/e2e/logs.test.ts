/** What a program wrote, how it ended and what it took, asked for on the submitter's machine. */

import { expect, it } from 'vitest'
import { type UnitLogs, unitLogsSchema } from '../../protocol/report.ts'
import { command, grid, Mesh, range } from '../../sdk/index.ts'
import { Lab } from './node-process.ts'

const SCRIPT = `
echo "unit $TALKOOT_UNIT here"
echo "warning $TALKOOT_UNIT" >&2
[ "$TALKOOT_UNIT" = 1 ] && exit 3
[ "$TALKOOT_UNIT" = 2 ] && kill -KILL $$
exit 0
`

it('logs of units that succeeded and failed, from another machine, outlive both nodes', async (context) => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '0'])
  const { runtimes } = await home.json<{ runtimes: { kind: string }[] }>(['status'])
  if (!runtimes.some(({ kind }) => kind === 'command')) return context.annotate('not run: no programs on this machine')
  const other = await lab.node('other', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)

  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(command(['sh', '-c', SCRIPT]), grid({ x: range(3) }), { retries: 0 })
  for await (const _ of job);
  const logs = await Promise.all([0, 1, 2].map((unit) => job.logs(unit)))
  const told = logs.map(({ attempts }) =>
    attempts.map(({ name, code, exit, stdout, stderr }) => ({ name, code, exit, stdout, stderr })),
  )
  const wrote = (unit: number) => ({ name: 'other', stdout: `unit ${unit} here\n`, stderr: `warning ${unit}\n` })
  expect(told).toEqual([
    [{ ...wrote(0), code: null, exit: { code: 0, signal: null } }],
    [{ ...wrote(1), code: 'E_EXIT', exit: { code: 3, signal: null } }],
    [{ ...wrote(2), code: 'E_EXIT', exit: { code: 137, signal: 'SIGKILL' } }],
  ])
  expect(logs[0]?.attempts[0]).toMatchObject({
    runtime: expect.stringMatching(/^command \S+/),
    system: expect.stringMatching(/^Linux \S+ \S+$/),
  })
  await other.kill('SIGKILL')
  await home.kill('SIGKILL')
  await home.start()
  const kept = unitLogsSchema.parse(await home.json<UnitLogs>(['job', 'logs', job.id, '1']))
  expect(kept.attempts[0]).toMatchObject({ code: 'E_EXIT', stderr: 'warning 1\n' })
  const { stdout } = await home.run(['job', 'logs', job.id.slice(0, 10), '1'])
  expect(stdout).toMatch(/E_EXIT, exit code 3[\s\S]*warning 1/)
})

/** Some seconds of words: what is followed must come while they last. */
const TALKER =
  'i=0; while [ $i -lt 20 ]; do echo "$TALKOOT_UNIT says $i"; echo "and $i" >&2; sleep 0.25; i=$((i+1)); done'

it('what units write is followed while they run, on this machine and another, until they end', async (context) => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  const { runtimes } = await home.json<{ runtimes: { kind: string }[] }>(['status'])
  if (!runtimes.some(({ kind }) => kind === 'command')) return context.annotate('not run: no programs on this machine')
  await lab.node('other', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)

  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(command(['sh', '-c', TALKER]), grid({ x: range(2) }))
  const follow = async (unit: number) => {
    const told = { stdout: '', stderr: '', live: false }
    for await (const { stream, text } of job.follow(unit)) {
      told[stream] += text
      told.live ||= (await job.explain(unit)).state !== 'decided'
    }
    return told
  }
  const [first, second, typed] = await Promise.all([follow(0), follow(1), home.run(['job', 'logs', '-f', job.id, '0'])])
  const words = (line: (i: number) => string) => Array.from({ length: 20 }, (_, i) => `${line(i)}\n`).join('')
  const stderr = words((i) => `and ${i}`)
  expect(first).toEqual({ stdout: words((i) => `0 says ${i}`), stderr, live: true })
  expect(second).toEqual({ stdout: words((i) => `1 says ${i}`), stderr, live: true })
  expect(typed).toEqual({ code: 0, stdout: first.stdout, stderr })
  expect((await job.progress()).accepted).toBe(2)
  // Nothing more comes of what is decided.
  expect(await follow(0)).toMatchObject({ stdout: '', stderr: '' })
})
