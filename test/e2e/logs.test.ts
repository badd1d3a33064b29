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
