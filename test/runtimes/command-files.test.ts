/** What programs bring: files in their folder, and folders at the places they had. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import type { Runtime, SandboxInit } from '../../node/runtimes/runtime.ts'
import { encodeProgram, type Program } from '../../protocol/command/program.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { collect, DEADLINE_MS, numbered } from './attempts.ts'
import { laidFrom, layDown } from './laid.ts'

let scratchDir: string
let runtime: Runtime
/** Why programs cannot be run here. */
let obstacle: string | null = null
const logs: string[] = []

beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-command-'))
  runtime = createCommandRuntime({ scratchDir })
  obstacle = await runtime.probe(AbortSignal.timeout(DEADLINE_MS)).then(
    () => null,
    (error) => TalkootError.from(error).message,
  )
})
afterAll(async () => {
  await runtime.stop()
  await rm(scratchDir, { recursive: true, force: true })
})
beforeEach(() => void logs.splice(0))

/** A test that needs programs to run. */
const runs = (name: string, body: () => Promise<void>): void =>
  test(name, async () => {
    if (obstacle === null) await body()
    else console.warn(`not run: ${name}: ${obstacle}`)
  })

async function all(argv: string[], units: number, program: Partial<Program>, trees: SandboxInit['trees']) {
  const source = encodeProgram({ v: 1, argv, env: {}, stdin: null, inputs: null, folders: [], ...program })
  const limits = { seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 10_000 }
  const sandbox = runtime.open({
    source,
    ...limits,
    ...(trees && { trees }),
    onReport: ({ stderr }) => logs.push(stderr),
  })
  const attempts = await collect(sandbox, numbered(units))
  await sandbox.close()
  return attempts
}

runs('its files lie in its folder, and it cannot change them', async () => {
  const program = '#!/bin/sh\ncat data/a.txt; echo x > run.sh; echo x > data/b; echo y > out && cat out'
  const { ref, trees } = await layDown(scratchDir, { 'run.sh': { program }, 'data/a.txt': 'A\n' })
  const attempts = await all(['./run.sh'], 2, { inputs: ref }, trees)
  const expected = { ok: true, value: '{"stdout":"A\\ny"}' }
  expect(attempts).toEqual([
    { unit: 0, ...expected },
    { unit: 1, ...expected },
  ])
  expect(logs.every((text) => text.includes('Read-only file system'))).toBe(true)
})

runs('a folder that is brought lies where it lay, its programs before all others, its links as they were', async () => {
  const program = '#!/bin/sh\necho brought $0; cat $(dirname $0)/../lib/word; echo x > /home/u/env/x'
  const { ref, trees } = await layDown(scratchDir, { 'bin/env-tool': { program }, 'lib/word': 'word\n' })
  const folders = [{ at: '/home/u/env', tree: ref }]
  for (const name of ['env-tool', '/home/u/env/bin/env-tool']) {
    const [attempt] = await all([name], 1, { folders }, trees)
    expect(attempt).toMatchObject({ ok: false, message: expect.stringContaining('Read-only file system') })
    expect(logs.splice(0).every((text) => text.includes('Read-only'))).toBe(true)
  }
  const [printed] = await all(['sh', '-c', 'env-tool; echo $PATH'], 1, { folders }, trees)
  expect(printed?.ok && JSON.parse(printed.value).stdout).toBe(
    'brought /home/u/env/bin/env-tool\nword\n/home/u/env/bin:/usr/local/bin:/usr/bin:/bin',
  )
  const [absent] = await all(['/home/u/env/bin/none'], 1, { folders }, trees)
  expect(absent).toMatchObject({ code: 'E_PROGRAM_MISSING' })
})

runs('a Python virtual environment runs as it does where it was made', async () => {
  const place = join(scratchDir, 'venv')
  try {
    execFileSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', place])
  } catch (error) {
    return console.warn(`not run: a Python virtual environment: ${TalkootError.from(error).message}`)
  }
  const [version = ''] = await readdir(join(place, 'lib'))
  await writeFile(join(place, 'lib', version, 'site-packages', 'word.py'), 'WORD = "here"')
  const { ref, trees } = await laidFrom(place)
  const script = 'import sys, word; print(sys.prefix, word.WORD)'
  const [attempt] = await all(['python', '-c', script], 1, { folders: [{ at: '/home/u/venv', tree: ref }] }, trees)
  expect(attempt?.ok && JSON.parse(attempt.value)).toEqual({ stdout: '/home/u/venv here' })
})

runs('more names in its folder than may be are the fault of the task', async () => {
  const names = Array.from({ length: LIMITS.COMMAND_INPUTS_MAX + 1 }, (_, at) => [`f${at}`, ''])
  const { ref, trees } = await layDown(scratchDir, Object.fromEntries(names))
  const [attempt] = await all(['true'], 1, { inputs: ref }, trees)
  expect(attempt).toMatchObject({ ok: false, code: 'E_SOURCE', blame: 'program' })
})

runs('as many as may be are there', async () => {
  const names = Array.from({ length: LIMITS.COMMAND_INPUTS_MAX }, (_, at) => [`f${at}`, ''])
  const { ref, trees } = await layDown(scratchDir, Object.fromEntries(names))
  const [attempt] = await all(['sh', '-c', 'ls | wc -l'], 1, { inputs: ref }, trees)
  expect(attempt?.ok && JSON.parse(attempt.value)).toEqual({ stdout: String(LIMITS.COMMAND_INPUTS_MAX) })
})
