/** Containers of a node that is an ordinary user. A test that was started as root becomes one: its process is its own. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chownSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { until } from '../mesh/nodes.ts'
import { collect, DEADLINE_MS } from './attempts.ts'
import { describeRuntime } from './compliance.ts'
import { containerSubject, NO_IMAGE } from './container-subject.ts'
import { imageShell, makeImage } from './image.ts'
import { descendantsOf, isAlive } from './remains.ts'

const NOBODY = 65534
const folder = mkdtempSync(join(tmpdir(), 'talkoot-user-'))
const made = await makeImage(folder).catch((error: Error) => error)
const image = made instanceof Error ? NO_IMAGE : made
if (process.getuid?.() === 0) {
  if (image !== NO_IMAGE) for (const path of [folder, dirname(image.archive)]) chownSync(path, NOBODY, NOBODY)
  process.setgroups?.([])
  process.setgid?.(NOBODY)
  process.setuid?.(NOBODY)
}
describeRuntime('container, for an ordinary user', containerSubject(image))

let runtime: Runtime
let obstacle: string | null = made instanceof Error ? made.message : null
beforeAll(async () => {
  runtime = createContainerRuntime({ scratchDir: join(folder, 'scratch') })
  obstacle ??= await runtime.probe(AbortSignal.timeout(DEADLINE_MS)).then(
    () => null,
    (error: unknown) => TalkootError.from(error).message,
  )
})
afterAll(async () => {
  await runtime.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('a unit has no rights, nor memory that nobody counts, and cannot say that it is to be ended last', async () => {
  if (obstacle !== null) return console.warn(`not run: ${obstacle}`)
  const lines = [
    'grep -E "^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status | tr -s "\\t" " "',
    'for path in /proc/self/oom_score_adj /dev/zero /sys/fs/cgroup/x /x; do echo 0 2>&- > $path || echo no $path; done 2>&-',
    'cat /proc/self/oom_score_adj',
  ]
  const source = imageShell(image.ref, lines.join('; '))
  const init = { trees: image.trees, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 120_000 }
  const sandbox = runtime.open({ source, ...init })
  const [attempt] = await collect(sandbox, [{ x: 1 }])
  await sandbox.close()
  expect((await runtime.probe(AbortSignal.timeout(DEADLINE_MS))).uid).toBe(process.getuid?.())
  expect(attempt?.ok ? JSON.parse(attempt.value).stdout.split('\n') : attempt).toEqual([
    'Uid: 65534 65534 65534 65534',
    'CapEff: 0000000000000000',
    'CapBnd: 0000000000000000',
    'NoNewPrivs: 1',
    'Seccomp: 2',
    'no /proc/self/oom_score_adj',
    'no /dev/zero',
    'no /sys/fs/cgroup/x',
    'no /x',
    '1000',
  ])
})

test('a node that is killed leaves no container and no process of podman', async () => {
  const fixture = join(import.meta.dirname, 'fixture-container.ts')
  const hidden = [fixture, process.execPath].filter((path) => !isReadable(path))
  if (obstacle !== null || hidden.length > 0) {
    return console.warn(
      `not run: ${obstacle ?? `${hidden.join(' and ')} cannot be read by user ${process.getuid?.()}`}`,
    )
  }
  const node = spawn(process.execPath, [fixture, join(folder, 'killed'), join(folder, 'image'), '1000000'], {
    stdio: 'ignore',
  })
  let all: number[] = []
  const sleeps = async (pid: number) => (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')) === 'sleep\n'
  await until(async () => {
    all = await descendantsOf(node.pid)
    return (await Promise.all(all.map(sleeps))).filter(Boolean).length === 2
  }, DEADLINE_MS)
  node.kill('SIGKILL')
  await once(node, 'exit')
  for (const pid of all) await until(async () => !(await isAlive(pid)))
})

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}
