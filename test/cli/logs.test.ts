import { afterEach, beforeEach, expect, test } from 'vitest'
import { unitLogsSchema } from '../../protocol/report.ts'
import { accepted, JOB_ID } from '../api/fake-services.ts'
import { CliHarness } from './harness.ts'

let cli: CliHarness

beforeEach(async () => {
  cli = new CliHarness()
  await cli.start()
})

afterEach(() => cli.dispose())

const on = { runtime: 'command 0.11.0', system: 'Linux 6.8.0 x64' }

test('the logs of a unit, attempt by attempt', async () => {
  cli.services.attempts = [
    {
      ...on,
      peer: '12D3KooWa',
      name: 'calm-heron',
      code: 'E_EXIT',
      exit: { code: 139, signal: 'SIGSEGV' },
      stdout: 'begun\n',
      stderr: 'no such file\nhalf',
      wallMs: 1_500,
      cpuMs: 1_200,
      peakMiB: 81,
      process: {
        ...{ began: '2026-05-01T10:00:00.000Z', ended: '2026-05-01T10:00:01.500Z' },
        ...{ readBytes: 50 * 2 ** 20, writtenBytes: 4_096, host: 'unit', user: 'unit', program: '/usr/bin/python3.11' },
      },
    },
    {
      ...on,
      peer: '12D3KooWb',
      name: '',
      code: null,
      exit: { code: 0, signal: null },
      stdout: '',
      stderr: '',
      wallMs: 12,
      cpuMs: null,
      peakMiB: null,
    },
  ]
  const { stdout, code } = await cli.run(['job', 'logs', JOB_ID.slice(0, 8), '7'])
  expect(code).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "peer   calm-heron 12D3KooWa
    ended  E_EXIT, SIGSEGV (exit code 139)
    took   1.5 s, 1.2 s of CPU, 81 MiB at most
    on     command 0.11.0, Linux 6.8.0 x64
    as     unit@unit, /usr/bin/python3.11
    when   2026-05-01T10:00:00.000Z to 2026-05-01T10:00:01.500Z
    moved  50 MiB read, 4 KiB written
    stdout
    begun
    stderr
    no such file
    half

    peer   12D3KooWb
    ended  well, exit code 0
    took   12 ms
    on     command 0.11.0, Linux 6.8.0 x64
    "
  `)
  const { stdout: json } = await cli.run(['job', 'logs', JOB_ID.slice(0, 8), '7', '--json'])
  expect(unitLogsSchema.parse(JSON.parse(json))).toMatchObject({ job: JOB_ID, unit: 7, attempts: [{}, {}] })
})

test('none, and a unit that is no number', async () => {
  expect((await cli.run(['job', 'logs', JOB_ID, '7'])).stdout).toContain('nothing is kept of unit 7')
  expect((await cli.run(['job', 'logs', JOB_ID, 'seven'])).code).toBe(2)
})

test('what differs between here and there is named where the outcome does', async () => {
  const process = { began: '', ended: '', readBytes: null, writtenBytes: null, host: 'unit', user: 'unit' }
  const python = (version: string) => ({ ...process, program: `/usr/bin/python${version}` })
  const ended = {
    code: null,
    exit: { code: 0, signal: null },
    stdout: '',
    stderr: '',
    wallMs: 1,
    cpuMs: null,
    peakMiB: null,
  }
  cli.services.reproduced = { process: python('3.11'), decided: accepted(7), same: false }
  cli.services.attempts = [
    { ...on, ...ended, peer: '12D3KooWa', name: 'calm-heron', process: python('3.9') },
    { ...on, ...ended, peer: '12D3KooWb', name: 'swift-otter', process: python('3.11') },
  ]
  const { stdout, stderr } = await cli.run(['job', 'reproduce', JOB_ID, '7'])
  expect(stdout).toBe('1\n')
  expect(stderr).toBe(
    'not as the mesh decided it: {"square":49}\nhere: Linux 6.8.0 x64, /usr/bin/python3.11\ncalm-heron: Linux 6.8.0 x64, /usr/bin/python3.9\n',
  )
})
