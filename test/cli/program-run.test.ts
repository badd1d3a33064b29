import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CliHarness } from './harness.ts'

let cli: CliHarness

beforeEach(async () => {
  cli = new CliHarness()
  await cli.start()
})

afterEach(() => cli.dispose())

test('what stands after -- is the program, options and all', async () => {
  writeFileSync(join(cli.folder, 'sim.py'), 'print(1)')
  const program = ['python3', 'sim.py', '--x', '{x}', '--json', '--quorum', '9']
  const flags = ['--param', 'x=0:5:1', '--in', 'sim.py', '--env', 'A=b=c', '--stdin', '{x}', '--quorum', '2']
  const { code, stderr } = await cli.run(['submit', ...flags, '--', ...program])
  expect([code, stderr]).toEqual([0, expect.stringContaining('follow it')])
  const [[job] = []] = cli.services.submitted
  expect(job).toMatchObject({ task: { runtime: 'command' }, policy: { verify: { kind: 'quorum', agree: 2 } } })
})

test('without a sweep it is run once, and planned as what it is', async () => {
  expect((await cli.run(['submit', '--', 'date'])).code).toBe(0)
  expect(cli.services.submitted).toMatchObject([[{ sweep: { kind: 'points', points: [{}] } }, {}]])
  expect((await cli.run(['plan', '--', 'date'])).code).toBe(0)
  expect(cli.services.planned).toMatchObject([{ runtime: 'command' }])
})
