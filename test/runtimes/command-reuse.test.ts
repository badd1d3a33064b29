/** Units of a job run in one sandbox after another's end: what one leaves is not there for the next, nor is the shell that starts them in reach. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { READY } from '../../node/runtimes/command/unit-script.ts'
import { UnitShell } from '../../node/runtimes/command/unit-shell.ts'
import type { Runtime, Sandbox, SandboxInit, UnitReport } from '../../node/runtimes/runtime.ts'
import { encodeProgram, type Program } from '../../protocol/command/program.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { collect, DEADLINE_MS } from './attempts.ts'
import { layDown } from './laid.ts'

let folder: string
let runtime: Runtime
/** Why programs cannot be run here. */
let obstacle: string | null = null

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkoot-reuse-'))
  runtime = createCommandRuntime({ scratchDir: join(folder, 'scratch') })
  obstacle = await runtime.probe(AbortSignal.timeout(DEADLINE_MS)).then(
    () => null,
    (error) => TalkootError.from(error).message,
  )
})
afterAll(async () => {
  await runtime.stop()
  await rm(folder, { recursive: true, force: true })
})

const runs = (name: string, body: () => Promise<void>): void =>
  test(name, async () => {
    if (obstacle === null) await body()
    else console.warn(`not run: ${name}: ${obstacle}`)
  })

const open = (program: Partial<Program> = {}, init: Partial<SandboxInit> = {}): Sandbox =>
  runtime.open({
    source: encodeProgram({ v: 1, argv: ['sh', '-c', '{does}'], env: {}, stdin: null, inputs: null, ...program }),
    ...{ seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 60_000 },
    ...init,
  })

/** What each line of shell prints, run one after the other; how it failed if it did. */
async function said(sandbox: Sandbox, ...lines: string[]): Promise<string[]> {
  const attempts = await collect(
    sandbox,
    lines.map((does) => ({ does })),
  )
  return attempts.map((attempt) =>
    attempt.ok ? JSON.parse(attempt.value).stdout : `${attempt.code} ${attempt.message}`,
  )
}

/** The sandbox a unit is in; the kernel gives its number again, but not at the same time. */
const WHERE = 'readlink /proc/self/ns/mnt; cut -d " " -f 22 /proc/1/stat'
/** All that a unit finds and could be other than it was. */
const STATE = `
ls -AlL --time-style=+ /unit /tmp /dev/shm | grep -v ^total; cat /unit/given
cat /proc/net/tcp | wc -l; set -- /proc/[0-9]*; echo $#; umask; pwd; env | sort | grep -v 'does\\|_UNIT='
ulimit -a; nice; ls -l /proc/self/fd | wc -l; grep ^flags /proc/self/fdinfo/[12]`

runs('units of a job share a sandbox that is as it was', async () => {
  const sandbox = open()
  const [first, again, wrote, after] = await said(sandbox, WHERE, WHERE, `touch a /tmp/.b; ${WHERE}`, WHERE)
  expect(new Set([first, again, wrote, after]).size).toBe(1)
  // What had to be killed may have done anything.
  const [left, next] = await said(sandbox, `sleep 1000 & ${WHERE}`, WHERE)
  expect(left).toBe(first)
  expect(next).not.toBe(first)
  await sandbox.close()
  const other = open()
  expect(await said(other, WHERE)).not.toEqual([first])
  await other.close()
})

const PORT = 23_457
const SERVE = `perl -MSocket -e '
  socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(${PORT}, INADDR_LOOPBACK)) or die $!; listen(S, 1);
  socket(C, PF_INET, SOCK_STREAM, 0); connect(C, sockaddr_in(${PORT}, INADDR_LOOPBACK)) or die $!;
  accept(A, S); close A; sysread(C, $x, 1); close C; print "served"'`

const LEAVES: Record<string, string> = {
  'files, also hidden ones and of odd names':
    'cd /tmp; touch a .b ..c -- -rf "*" "$(printf "\\n")"; mkdir -p /unit/d/e /dev/shm/f',
  'folders nobody may enter': 'mkdir -p a/b; touch a/b/c; chmod 0 a/b a',
  'its folder closed': 'chmod 0 /unit',
  'another folder closed': 'chmod 0 /tmp',
  'what it was given, gone': 'rm given',
  'something else in the place of what it was given': 'rm given; echo other >given',
  'a link to something else in the place of what it was given': 'ln -sf /etc/passwd given',
  'a process': 'sleep 1000 &',
  'a process of another session': 'setsid sleep 1000 &',
  'pipes that do not wait': `perl -e 'use Fcntl; fcntl($_, F_SETFL, O_NONBLOCK | O_WRONLY) for *STDOUT, *STDERR'`,
  'a connection that keeps its port': SERVE,
  'its outputs closed': 'exec >&- 2>&-; true',
}

runs('whatever a unit leaves, the next finds all as it was', async () => {
  const { ref, trees } = await layDown(folder, { given: 'given\n' })
  const sandbox = open({ inputs: ref }, { trees })
  const [fresh] = await said(sandbox, STATE)
  expect(fresh).toContain('given')
  for (const [what, leave] of Object.entries(LEAVES)) {
    const [left, found] = await said(sandbox, leave, STATE)
    expect(left, what).not.toMatch(/^E_/)
    expect(found, what).toBe(fresh)
  }
  expect(await said(sandbox, SERVE, SERVE)).toEqual(['served', 'served'])
  await sandbox.close()
})

runs('a unit that is ended spares the next, in a new sandbox', async () => {
  const sandbox = open({}, { timeoutMs: 2_000 })
  const [before, late, after] = await said(sandbox, WHERE, 'sleep 1000', WHERE)
  expect(late).toMatch(/^E_TIMEOUT/)
  expect(after).toMatch(/^mnt:/)
  expect(after).not.toBe(before)
  await sandbox.close()
})

runs('what a unit used is not told of the next', async () => {
  const reports: UnitReport[] = []
  const sandbox = open({}, { onReport: (report) => reports.push(report) })
  const burn = 'i=0; while [ $i -lt 700000 ]; do i=$((i + 1)); done; head -c 3000000 /dev/zero >f'
  await said(sandbox, burn, 'sleep 0.5')
  const [burnt, slept] = reports
  expect(burnt?.cpuMs).toBeGreaterThan(2 * (slept?.cpuMs ?? Number.NaN))
  expect(slept?.process?.writtenBytes).toBeLessThan(3_000_000)
  await sandbox.close()
})

runs('no unit reaches the shell that starts them', async () => {
  const sandbox = open()
  const [before] = await said(sandbox, WHERE)
  for (const attack of [
    'for s in $(seq 64); do kill -$s 1; done',
    'for f in 0 1 2; do echo 0 >/proc/1/fd/$f; done',
    'timeout 1 cat /proc/1/fd/0',
    'timeout 1 cat /proc/1/fd/1',
    `perl -e 'print open(M, "+<", "/proc/1/mem") ? "open" : $!'`,
    `echo ${READY}; echo 0`,
    `echo 0 >&9`,
    'mkfifo /dev/unit/x || rm /dev/unit/stdout || mv /dev/unit/stdout /dev/unit/y || chmod 0 /dev/unit/stdout',
  ]) {
    const [, after] = await said(sandbox, `(${attack}) 2>&1`, `echo fine; ${WHERE}`)
    expect(after, attack).toBe(`fine\n${before}`)
  }
  // What ends all but itself may have left something: perhaps in another sandbox.
  expect((await said(sandbox, 'kill -9 -1', 'echo fine'))[1]).toBe('fine')
  await sandbox.close()
})

runs('no text of a task is read by the shell that starts its units', async () => {
  const sandbox = open({ argv: ['printf', '%s', '{does}'], env: { TEXT: '{does}' } })
  const texts = [
    `'`,
    `'; exit 3; '`,
    '"$(id)`id`"',
    '\n\n',
    '\\',
    "a\n'\nEOF\n!!",
    '\u0001\u007f\u{1f600}',
    ' ',
    '#',
    '-n',
    '$0*~',
  ]
  expect(await said(sandbox, ...texts)).toEqual(texts.map((text) => text.replace(/\n$/, '')))
  await sandbox.close()
})

runs('a message queue is refused: it would stay', async () => {
  if (process.arch !== 'x64') return console.warn('not run: the number of mq_open is that of x64')
  const sandbox = open()
  const [refused] = await said(sandbox, `perl -e 'print syscall(240, my $name = "a", 66, 0600, 0), " $!"'`)
  expect(refused).toBe('-1 Operation not permitted')
  await sandbox.close()
})

/** Stands in for the sandbox: tells what it is told to. */
const pretending = async (script: string): Promise<UnitShell> => {
  const pipes = await mkdtemp(join(folder, 'pipes-'))
  execFileSync(
    'mkfifo',
    ['stdout', 'stderr'].map((name) => join(pipes, name)),
  )
  const line = ['/bin/sh', '-c', script]
  return new UnitShell({ line, handed: [], shut: [], user: undefined, pipes, inputs: null })
}
const UNIT = { stdin: null, timeoutMs: DEADLINE_MS, memoryMiB: 64 }

test('a sandbox that is not ready in time for the next unit is replaced', async () => {
  const shell = await pretending(`echo ${READY}; echo 7; sleep 1000`)
  const signal = AbortSignal.timeout(DEADLINE_MS)
  expect(await shell.run(['true'], UNIT, signal)).toMatchObject({ code: 7, killed: null })
  const began = performance.now()
  expect(await shell.run(['true'], UNIT, signal)).toMatchObject({ code: 7, killed: null })
  expect(performance.now() - began).toBeGreaterThan(LIMITS.COMMAND_REFRESH_MAX_MS / 2)
  await shell.close()
})

test('one that does not start is the fault of the machine, one that ends is that of the unit', async () => {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const broken = await pretending('echo no namespaces >&2; exit 1')
  await expect(broken.run(['true'], UNIT, signal)).rejects.toMatchObject({
    code: 'E_RUNTIME_MISSING',
    message: expect.stringContaining('no namespaces'),
  })
  const ending = await pretending(`echo ${READY}; read line; exit 137`)
  expect(await ending.run(['true'], UNIT, signal)).toMatchObject({ code: 137 })
  await Promise.all([broken.close(), ending.close()])
})
