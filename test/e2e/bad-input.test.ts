/** Whatever is wrong with what a person or a task gives, it is told by its code and harms nobody else. */

import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { grid, list, Mesh, taskAt } from '../../sdk/index.ts'
import { Lab, NodeProcess } from './node-process.ts'

const hostile = taskAt<typeof import('./tasks/hostile.task.ts')>(
  fileURLToPath(new URL('./tasks/hostile.task.ts', import.meta.url)),
)

it('a task that misbehaves fails with its own code, and its neighbours are well', async () => {
  await using lab = new Lab()
  const home = await lab.node('home', ['--cores', '1'])
  await lab.node('worker', ['--cores', '1', '--join', await home.token()])
  await home.sees(2)
  const expected = {
    throw: 'E_TASK_THREW',
    loop: 'E_TIMEOUT',
    allocate: 'E_MEMORY',
    nan: 'E_RESULT_TYPE',
    function: 'E_RESULT_TYPE',
    cycle: 'E_RESULT_TYPE',
    huge: 'E_RESULT_TOO_BIG',
    never: 'E_NEVER_SETTLED',
    recurse: 'E_TASK_THREW',
  }
  const acts = Object.keys(expected).flatMap((act) => [act, 'behave', 'behave'])
  await using mesh = await Mesh.connect({ home: home.home })
  await using job = await mesh.map(hostile, grid({ act: list(...acts) }), {
    timeoutMs: 4_000,
    memoryMiB: 128,
    retries: 1,
  })
  const codes: Record<string, string> = {}
  for await (const result of job) {
    if (result.params.act === 'behave') expect(result.value).toBe('well')
    else codes[result.params.act] = result.error?.code ?? `accepted ${JSON.stringify(result.value)?.slice(0, 40)}`
  }
  expect(codes).toEqual(expected)
  // Both nodes are as well as before.
  expect((await home.peers()).peers).toHaveLength(2)
})

it.each([
  ['a setting of the wrong kind', '{"cpus": "four"}', /cpus/],
  ['a setting nobody knows', '{"cpu": 4}', /cpu/],
  ['no JSON', 'cpus = 4', /not JSON/],
])('a config file with %s is refused by name', async (_, content, message) => {
  await using lab = new Lab()
  const home = join(lab.folder, 'node')
  mkdirSync(home, { mode: 0o700 })
  writeFileSync(join(home, 'config.json'), content)
  const { code, stderr } = await new NodeProcess(home, { up: [] }).run(['up', '--no-mdns'])
  expect(code).toBe(2)
  expect(stderr).toMatch('E_CONFIG')
  expect(stderr).toMatch(message)
  expect(stderr).not.toMatch(/^\s+at /m)
})

it('a ledger that was cut off is refused and left as it is', async () => {
  await using lab = new Lab()
  const node = await lab.node('node')
  await node.kill('SIGTERM')
  truncateSync(join(node.home, 'ledger.sqlite'), 5_000)
  const { code, stderr } = await node.run(['up', '--no-mdns'])
  expect(code).toBe(7)
  expect(stderr).toMatch('E_LEDGER_CORRUPT')
  expect(stderr).not.toMatch(/^\s+at /m)
})

it('a second node on one state folder is refused, and told which process holds it', async () => {
  await using lab = new Lab()
  const node = await lab.node('node')
  const { code, stderr } = await node.run(['up', '--no-mdns'])
  expect(code).toBe(7)
  expect(stderr).toMatch('E_ALREADY_RUNNING')
  expect(stderr).toMatch(String(node.pid))
})

it('a job nobody can run is told so at once, clause by clause', async () => {
  await using lab = new Lab()
  const home = await lab.node('home')
  await lab.node('worker', ['--join', await home.token()])
  await home.sees(2)
  const task = fileURLToPath(new URL('./tasks/hostile.task.ts', import.meta.url))
  const { code, stderr, stdout } = await home.run([
    'run',
    task,
    '--param',
    'act=behave',
    '--require',
    'peer.cpus >= 1 && peer.memory > 10 * TiB',
    '--json',
  ])
  expect(code).toBe(4)
  expect(JSON.parse(stdout || stderr)).toMatchObject({
    schema: 'talkoot.error/1',
    error: { code: 'E_JOB_UNPLACEABLE' },
    clauses: expect.arrayContaining([{ clause: 'peer.memory > 10 * TiB', excludes: 2, remaining: 0 }]),
  })
})
