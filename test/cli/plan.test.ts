import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { planSchema } from '../../protocol/plan.ts'
import { CliHarness } from './harness.ts'

let cli: CliHarness

beforeEach(async () => {
  cli = new CliHarness()
  await cli.start()
  writeFileSync(join(cli.folder, 'square.task.ts'), 'export default ({ n }: { n: number }) => n * n\n')
})

afterEach(() => cli.dispose())

const plan = (...args: string[]) => cli.run(['plan', 'square.task.ts', '--param', 'n=0:20000:1', ...args])

test('takes what run takes, and shows who matches, what is in the way, and how long it may take', async () => {
  const { stdout, code } = await plan('--unit-time', '50ms', '--require', 'peer.memory >= 16 * GiB', '--quorum', '2')
  expect(code).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "units       20,000
    peers       3 of 12 match, 1 of them paused
    slots       8, 5 free now
    executions  about 40,400, at most 120,000
    unit time   50 ms at speed 1 (given)
    finish      about 1 min 30 s: 1 min to 3 min

    CLAUSE                   EXCLUDES  LEFT
    peer.memory >= 16 * GiB         9     3
    → with peer.memory >= 12 * GiB: 9 more peers qualify
    → without peer.os == "linux": 1 more peer qualifies

    assumes no peer comes, leaves, or is paused
    "
  `)
  expect(cli.services.planned).toMatchObject([
    { unitMs: 50, policy: { require: 'peer.memory >= 16 * GiB', verify: { kind: 'quorum', agree: 2, of: 3 } } },
  ])
  expect(cli.services.submitted).toEqual([])
})

test('says what is not known, and why nothing would run', async () => {
  const { stdout } = await plan('--require', 'false')
  expect(stdout).toContain('finish      not known')
  expect(stdout).toContain('! no-match: Does not offer what the job requires.\n  your move → ')
})

test('is JSON with a schema, or the likely milliseconds', async () => {
  expect(planSchema.parse(JSON.parse((await plan('--unit-time', '1s', '--json')).stdout)).units).toBe(20_000)
  expect((await plan('--unit-time', '1s', '-o', 'quiet')).stdout).toBe('90000\n')
})

test('a trial runs the first units, unverified, before the plan is made', async () => {
  const { code, stderr } = await plan('--trial', '3', '--quorum', '2')
  expect(code).toBe(0)
  expect(stderr).toContain('· 3 units run, 1 failed')
  const [[request] = []] = cli.services.submitted
  expect(request).toMatchObject({
    name: 'trial',
    sweep: { kind: 'slice', from: 0, to: 3 },
    policy: { verify: { kind: 'none' } },
  })
  expect(cli.services.planned).toMatchObject([{ policy: { verify: { kind: 'quorum' } } }])
})
