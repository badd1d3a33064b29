/** Programs of this machine: what a unit gets, what it gives, and what it cannot reach. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Runtime, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { encodeProgram, type Program } from '../../protocol/command/program.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { until } from '../mesh/nodes.ts'
import { layDown } from './laid.ts'

const DEADLINE_MS = 120_000
const NOBODY = 65_534

let scratchDir: string
let runtime: Runtime
/** Why programs cannot be run here. */
let obstacle: string | null = null
const logs: [unit: number, text: string][] = []

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

const open = (argv: string[], program: Partial<Program> = {}, init: Partial<SandboxInit> = {}): Sandbox =>
  runtime.open({
    source: encodeProgram({ v: 1, argv, env: {}, stdin: null, inputs: null, folders: [], ...program }),
    seed: 1,
    ...{ cpus: 1, memoryMiB: 64, timeoutMs: 60_000 },
    onReport: ({ unit, stderr }) => logs.push([unit, stderr]),
    ...init,
  })

async function collect(sandbox: Sandbox, points: object[], signal = AbortSignal.timeout(DEADLINE_MS)) {
  const attempts: Attempt[] = []
  const units = points.map((point, unit) => ({ unit, params: JSON.stringify(point) }))
  for await (const group of sandbox.run(units, signal)) attempts.push(...group)
  return attempts
}

async function all(argv: string[], points: object[], program?: Partial<Program>, init?: Partial<SandboxInit>) {
  const sandbox = open(argv, program, init)
  const attempts = await collect(sandbox, points)
  await sandbox.close()
  return attempts
}

/** What the shell lines print. */
async function sh(script: string, init?: Partial<SandboxInit>): Promise<string> {
  const [attempt] = await all(['sh', '-c', '{script}'], [{ script }], {}, init)
  return attempt?.ok ? JSON.parse(attempt.value).stdout.trim() : `${attempt?.code} ${attempt?.message}`
}

runs('probe - runs programs as somebody who is nobody here', async () => {
  const probe = await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
  expect(probe).toMatchObject({ kind: 'command', version: '1', confinement: 'os' })
  expect(probe.uid).toBe(process.getuid?.() === 0 ? NOBODY : process.getuid?.())
})

runs('a unit gets its parameters as arguments, variables and input', async () => {
  const script = 'echo "$0|$1|$V|$TALKOOT_UNIT|$TALKOOT_PARAM_x|$(cat)"'
  const attempts = await all(
    ['sh', '-c', script, '{x}', '{unit}:{{{y}}}'],
    [
      { x: 1.5, y: 'a b' },
      { x: [1, 2], y: true },
    ],
    {
      env: { V: 'v{x}' },
      stdin: 'in {y}',
    },
  )
  expect(attempts.map((attempt) => attempt.ok && JSON.parse(attempt.value))).toEqual([
    { stdout: '1.5|0:{a b}|v1.5|0|1.5|in a b' },
    { stdout: '[1,2]|1:{true}|v[1,2]|1|[1,2]|in true' },
  ])
})

runs('no parameter is read by a shell that the program did not start', async () => {
  const [attempt] = await all(['echo', '{x}'], [{ x: '$(id); `id` && id' }])
  expect(attempt).toEqual({ unit: 0, ok: true, value: '{"stdout":"$(id); `id` && id"}' })
})

runs('nothing of a unit is there for the next', async () => {
  const attempts = await all(['sh', '-c', 'ls /unit /tmp /dev/shm | wc -l; touch /unit/a /tmp/b /dev/shm/c'], [{}, {}])
  expect(attempts.map((attempt) => attempt.ok && JSON.parse(attempt.value).stdout)).toEqual(['5', '5'])
})

runs('each failure has its code and blame', async () => {
  const cases: [string, string, string, RegExp][] = [
    ['echo why >&2; exit 3', 'E_EXIT', 'program', /^exit code 3\nwhy$/],
    ['kill -SEGV $$', 'E_EXIT', 'program', /SIGSEGV/],
    ['nothing-of-that-name', 'E_EXIT', 'program', /exit code 127/],
    ['yes', 'E_RESULT_TOO_BIG', 'program', /wrote more than/],
    ['yes >&2', 'E_RESULT_TOO_BIG', 'program', /wrote more than/],
    ["printf '\\377'", 'E_RESULT_TYPE', 'program', /UTF-8/],
  ]
  const attempts = await all(
    ['sh', '-c', '{script}'],
    cases.map(([script]) => ({ script })),
  )
  for (const [i, [, code, blame, message]] of cases.entries()) {
    expect(attempts[i]).toMatchObject({ ok: false, code, blame, message: expect.stringMatching(message) })
  }
})

runs(
  'a program that is not there is the fault of the machine, one that is brought and cannot run its own',
  async () => {
    for (const name of ['no-such-program', '/usr/bin/no-such-program', './absent']) {
      const [attempt] = await all([name], [{}])
      expect(attempt).toMatchObject({ ok: false, code: 'E_PROGRAM_MISSING', blame: 'machine' })
    }
    const { ref, trees } = await layDown(scratchDir, { 'a.txt': 'text' })
    const [attempt] = await all(['./a.txt'], [{}], { inputs: ref }, { trees })
    expect(attempt).toMatchObject({ ok: false, code: 'E_PROGRAM_MISSING' })
  },
)

runs('a point without a parameter the program names fails, its neighbours do not', async () => {
  const attempts = await all(['echo', '{x}'], [{ x: 1 }, { y: 2 }, { x: 3 }])
  expect(attempts.map((attempt) => (attempt.ok ? attempt.value : attempt.code))).toEqual([
    '{"stdout":"1"}',
    'E_INPUT',
    '{"stdout":"3"}',
  ])
})

runs('time is up', async () => {
  const [attempt] = await all(['sleep', '60'], [{}], {}, { timeoutMs: 200 })
  expect(attempt).toMatchObject({ ok: false, code: 'E_TIMEOUT', blame: 'time' })
})

runs('the memory of all its processes together is bounded', async () => {
  // Each process alone would be allowed.
  const holders = (count: number) => `perl -e '$x = "a" x shift; sleep 8' 40000000 & `.repeat(count)
  expect(await sh(`${holders(1)} sleep 1; echo fine`, { memoryMiB: 140 })).toBe('fine')
  expect(await sh(`${holders(4)} wait; echo unbounded`, { memoryMiB: 140 })).toMatch(/^E_MEMORY/)
})

/** Calls by number in Perl, which has no names for them: x86-64 only. */
const CALLS = { mmap: 9, shmget: 29, semget: 64, msgget: 68, memfd_create: 319 }
const onX64 = (name: string, body: () => Promise<void>): void =>
  runs(name, async () => {
    if (process.arch === 'x64') await body()
    else console.warn(`not run: ${name}: the numbers of system calls are those of x64`)
  })

onX64('no memory is had that no process is seen to use', async () => {
  for (const call of [
    `${CALLS.memfd_create}, $^X, 0`,
    `${CALLS.shmget}, 0, 4096, 0600`,
    `${CALLS.semget}, 0, 1, 0600`,
    `${CALLS.msgget}, 0, 0600`,
    `${CALLS.mmap}, 0, 4096, 3, 0x21, -1, 0`,
  ]) {
    expect(await sh(`perl -e 'print syscall(${call}), " ", $!'`), call).toBe('-1 Operation not permitted')
  }
  const mapZero = `open(Z, "+<", "/dev/zero") or die; print syscall(${CALLS.mmap}, 0, 4096, 3, 1, fileno(Z), 0), " $!"`
  expect(await sh(`perl -e '${mapZero}'`)).toBe('-1 No such device')
  expect(await sh('head -c 3 /dev/zero | od -An -tx1')).toBe('00 00 00')
  expect(await sh(`perl -e 'print syscall(${CALLS.mmap}, 0, 4096, 3, 0x22, -1, 0) > 0 ? "private" : $!'`)).toBe(
    'private',
  )
})

onX64('tables of memory that was only looked at count as memory', async () => {
  const look = `
    my $at = syscall(${CALLS.mmap}, 0, 100 << 30, 1, 0x4022, -1, 0);
    for (my $page = 0; $page < 100 << 30; $page += 2 << 20) { unpack("P1", pack("Q", $at + $page)) }
    sleep 8; print "unbounded"`
  expect(await sh(`perl -e '${look}'`)).toMatch(/^E_MEMORY/)
})

runs('short of memory, the kernel ends it first, and it cannot change that', async () => {
  expect(await sh('cat /proc/self/oom_score_adj')).toBe('1000')
  expect(await sh('echo 0 > /proc/self/oom_score_adj || cat /proc/1/oom_score_adj')).toBe('1000')
})

runs('what it may write is bounded', async () => {
  const bytes = (LIMITS.COMMAND_SCRATCH_MIB + 1) * 2 ** 20
  for (const place of ['/unit', '/tmp', '/dev/shm']) {
    const init = { memoryMiB: 1_024 }
    expect(await sh(`head -c ${bytes} /dev/zero > ${place}/f || echo full`, init), place).toBe('full')
  }
})

runs('so many processes and no more; a fork bomb ends with its unit', async () => {
  const start = (count: number) => `for i in $(seq ${count}); do sleep 100 & done; echo started`
  expect(await sh(start(LIMITS.UNIT_PROCESSES_MAX / 2))).toBe('started')
  expect(await sh(start(LIMITS.UNIT_PROCESSES_MAX + 1))).toMatch(/^E_EXIT/)
  await sh('f() { f | f & }; f; sleep 1', { memoryMiB: 512 })
  expect(await sh('echo alive')).toBe('alive')
})

runs('what it left running ends with it', async () => {
  const mark = `talkoot-${process.pid}-left`
  const [attempt] = await all(
    ['sh', '-c', '(exec -a {mark} sleep 1000) & echo started'.replace('exec -a {mark} ', ''), mark],
    [{ mark }],
  )
  expect(attempt).toMatchObject({ ok: true })
  await until(async () => !(await commandLines()).some((line) => line.includes(mark)))
})

runs('aborting ends it and gives no attempt', async () => {
  const sandbox = open(['sh', '-c', 'echo a; sleep 1000', `talkoot-${process.pid}-abort`])
  const abort = new AbortController()
  const running = collect(sandbox, [{}, {}], abort.signal)
  await until(async () => (await commandLines()).some((line) => line.includes(`talkoot-${process.pid}-abort`)))
  abort.abort()
  expect(await running).toEqual([])
  await until(async () => !(await commandLines()).some((line) => line.includes(`talkoot-${process.pid}-abort`)))
  await sandbox.close()
})

runs('aborting while it is set up leaves nothing', async () => {
  const mark = `talkoot-${process.pid}-setup`
  for (let ms = 0; ms < 30; ms++) {
    const sandbox = open(['sh', '-c', 'sleep 1000; true', mark])
    await collect(sandbox, [{}], AbortSignal.timeout(ms))
    await sandbox.close()
  }
  await until(async () => !(await commandLines()).some((line) => line.includes(mark)))
})

runs('closing ends what runs and removes what it brought', async () => {
  const { ref, trees } = await layDown(scratchDir, { a: 'a' })
  const sandbox = open(['sh', '-c', 'sleep 1000', `talkoot-${process.pid}-close`], { inputs: ref }, { trees })
  const running = collect(sandbox, [{}])
  await until(async () => (await commandLines()).some((line) => line.includes(`talkoot-${process.pid}-close`)))
  await sandbox.close()
  expect(await running).toEqual([])
  const probe = await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
  expect(probe.kind).toBe('command')
  const folders = await readdir(scratchDir, { recursive: true })
  expect(folders.filter((name) => /job-|tree-/.test(name))).toEqual([])
})

runs('it sees nothing of this machine but its programs', async () => {
  const secret = join(scratchDir, 'secret')
  await writeFile(secret, 'secret')
  expect(await sh(`cat ${secret} || echo hidden`)).toBe('hidden')
  expect(await sh('ls -A /root /home /var /etc/shadow /etc/hosts 2>/dev/null; ls /')).toBe(await sh('ls /'))
  expect(await sh('cat /etc/passwd')).toBe('unit:x:65534:65534:unit:/unit:/bin/sh')
  const names = await sh('env | cut -d= -f1 | grep -v THREADS | sort | tr "\\n" " "')
  expect(names).toBe(
    'GOMAXPROCS HOME LANG PATH PWD TALKOOT_CHECKPOINT TALKOOT_CPUS TALKOOT_PARAM_script TALKOOT_UNIT TMPDIR TZ',
  )
  expect(await sh('ls /proc | grep -c "^[0-9]"')).toMatch(/^[1-6]$/)
})

runs('it reaches no network, nor any socket of this machine', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const to = `sockaddr_in(${port}, inet_aton("127.0.0.1"))`
  const dial = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); print connect(S, ${to}) ? "reached" : "alone"`
  expect(execFileSync('perl', ['-e', dial], { encoding: 'utf8' })).toBe('reached')
  const [attempt] = await all(['perl', '-e', '{dial}'], [{ dial }])
  expect(attempt).toEqual({ unit: 0, ok: true, value: '{"stdout":"alone"}' })
  // Virtual machines' own sockets, which are of no network namespace.
  expect(await sh(`perl -MSocket -e 'print socket(S, 40, SOCK_STREAM, 0) ? "vsock" : $!'`)).toBe(
    'Operation not permitted',
  )
  expect(await sh('cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d " "')).toBe('lo')
  // Standard output is a socket of this machine's, and SIOCGIFCONF tells the addresses of wherever a socket is from.
  expect(await sh(`perl -e 'my $x = "\\0" x 16; print ioctl(STDOUT, 0x8912, $x) // $!'`)).toBe(
    'Operation not permitted',
  )
  server.close()
})

runs('a variable of the job never reaches what starts it', async () => {
  const trap = join(scratchDir, 'trap.so')
  await writeFile(trap, 'not a library')
  const [attempt] = await all(['sh', '-c', 'echo $LD_PRELOAD'], [{}], { env: { LD_PRELOAD: trap } })
  // The loader complains inside the sandbox, where the path leads nowhere; outside it would have read the file.
  expect(attempt).toMatchObject({ ok: true, value: JSON.stringify({ stdout: trap }) })
  const complaints = logs.map(([, text]) => text).join()
  expect(complaints).not.toContain('invalid ELF header')
  // Of the program only: what sets its limits would be loaded with it before they are set.
  expect(complaints.match(/LD_PRELOAD/g)).toHaveLength(1)
})

runs('whatever a point makes of its arguments, no more is built than a machine could start', async () => {
  const long = 'a'.repeat(60_000)
  const refused = { ok: false, code: 'E_INPUT', blame: 'program' }
  expect(await all(['true', '{x}'.repeat(10_000)], [{ x: long }])).toMatchObject([refused])
  expect(await all(['true', ...Array(200).fill('{x}')], [{ x: long }])).toMatchObject([refused])
  expect(await all(['true'], [{ x: long }], { stdin: '{x}{x}{x}' })).toMatchObject([refused])
  expect(await all(['true', ...Array(8).fill('{x}{x}')], [{ x: long }])).toMatchObject([{ ok: true }])
  // Else it would be taken for a variable.
  expect(await all(['{x}'], [{ x: 'a=b' }])).toMatchObject([refused])
})

runs('a message that would have no canonical form is given one', async () => {
  const source = '{"v":1,"argv":["\\ud800"],"env":{},"stdin":null,"inputs":null}'
  const [missing] = await all([], [{}], {}, { source })
  const [cut] = await all(
    ['sh', '-c', '{script}'],
    [{ script: "printf '%0.s😀' $(seq 2000) >&2; printf a >&2; exit 1" }],
  )
  for (const attempt of [missing, cut]) {
    if (attempt === undefined || attempt.ok) throw new Error('it has not failed')
    expect(attempt.message.isWellFormed()).toBe(true)
  }
})

runs('whether a program is there tells nothing of what units do not see', async () => {
  for (const name of [`/usr/..${scratchDir}`, `/bin/../usr/..${scratchDir}-not`]) {
    expect(await all([name], [{}]), name).toMatchObject([{ ok: false, code: 'E_EXIT' }])
  }
})

runs('it writes nothing outside and gains no rights', async () => {
  for (const place of ['/x', '/usr/x', '/etc/x', '/dev/x', '/proc/sys/kernel/core_pattern']) {
    expect(await sh(`echo x > ${place} && echo wrote`), place).not.toContain('wrote')
  }
  // The memory of bubblewrap, which prlimit does not bound.
  expect(await sh('perl -e \'print open(M, "+<", "/proc/1/mem") ? "open" : $!\'')).toBe('Read-only file system')
  expect(await sh('grep " /proc/sys " /proc/self/mountinfo')).toMatch(/ \/proc\/sys ro,/)
  expect(await sh('grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status | tr -s "\\t\\n" " "')).toBe(
    'CapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2',
  )
  expect(await sh('unshare -U true 2>/dev/null || echo none')).toBe('none')
  expect(await sh('mount -t tmpfs x /tmp 2>/dev/null || echo none')).toBe('none')
})

runs('a source that is no program fails every unit', async () => {
  for (const source of [
    '{',
    '{"v":1}',
    encodeProgram({ v: 1, argv: ['a'], env: {}, stdin: null, inputs: { digest: '../x', bytes: 1 } }),
  ]) {
    const sandbox = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 1_000 })
    expect((await collect(sandbox, [{}, {}])).map((attempt) => !attempt.ok && attempt.code)).toEqual([
      'E_SOURCE',
      'E_SOURCE',
    ])
    await sandbox.close()
  }
})

test('it works wherever other sandboxes do, or says why not', async () => {
  const js = createJsRuntime({ scratchDir })
  const { confinement } = await js.probe(AbortSignal.timeout(DEADLINE_MS))
  await js.stop()
  expect(obstacle === null).toBe(confinement === 'os')
  if (obstacle !== null)
    await expect(runtime.probe(AbortSignal.timeout(DEADLINE_MS))).rejects.toMatchObject({ code: 'E_NATIVE_PLATFORM' })
})

async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
}
