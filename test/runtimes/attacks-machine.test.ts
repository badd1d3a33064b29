/** Attacks by a process that has Deno's every permission, as after an exploit of V8: only the system around it holds. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITS } from '../../protocol/limits.ts'
import { callProgram, type Entry, GETPID } from './call-program.ts'
import { type Alter, allowAll, both, Laboratory, withMore, without } from './laboratory.ts'

let lab: Laboratory
let server: Server
let port = 0
beforeAll(async () => {
  lab = await Laboratory.open('os')
  server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address === 'object' && address !== null) port = address.port
})
afterAll(async () => {
  server.close()
  await lab.close()
})

/** Prints what the expression comes to, or `refused`. */
const say = (expression: string): string =>
  `let said; try { said = await (${expression}) } catch { said = 'refused' } console.log(JSON.stringify(said ?? null)); Deno.exit(0)`

const reach = async (expression: string, alter: Alter = (plan) => plan): Promise<unknown> =>
  JSON.parse(await lab.intrude(say(expression), both(allowAll, alter)))

describe('bubblewrap', () => {
  test('hides the files of the machine', async () => {
    if (!lab.hasBubblewrap('hidden files')) return
    const read = `Deno.readTextFileSync('/etc/passwd').length > 0`
    expect(await reach(read)).toBe('refused')
    expect(await reach(read, withMore('--ro-bind', '/etc', '/etc'))).toBe(true)
    const roots = await reach(`[...Deno.readDirSync('/')].map((entry) => entry.name).sort()`)
    const allowed = ['deno', 'dev', 'harness.js', 'imports.json', 'lib', 'lib64', 'prlimit', 'proc', 'usr', 'nix']
    for (const name of roots as string[]) expect(allowed).toContain(name)
  })

  test('lets nothing be written', async () => {
    if (!lab.hasBubblewrap('no writing')) return
    for (const path of [
      '/x',
      '/tmp/x',
      '/lib/x',
      '/harness.js',
      '/deno',
      '/proc/sys/kernel/hostname',
      '/dev/shm/x',
      '/dev/x',
    ]) {
      expect(await reach(`Deno.writeTextFileSync('${path}', 'x')`), path).toBe('refused')
    }
    expect(await reach(`Deno.writeTextFileSync('/x', 'x')`, without(['--remount-ro', 1]))).toBe(null)
    const fill = `Deno.writeFileSync('/x', new Uint8Array(2 << 20))`
    expect(await reach(fill, without(['--remount-ro', 1]))).toBe('refused')
    expect(await reach(fill, without(['--remount-ro', 1], ['--size', 1]))).toBe(null)
  })

  test('has no network', async () => {
    if (!lab.hasBubblewrap('no network')) return
    const connect = `Deno.connect({ port: ${port} }).then(() => 'open')`
    expect(await reach(connect)).toBe('refused')
    expect(await reach(connect, withMore('--share-net'))).toBe('refused')
    expect(await reach(connect, without(['--seccomp', 1]))).toBe('refused')
    expect(await reach(connect, both(withMore('--share-net'), without(['--seccomp', 1])))).toBe('open')
  })

  test('shows no environment and no command line of ours', async () => {
    if (!lab.hasBubblewrap('no environment')) return
    const secret: Alter = (plan) => ({ ...plan, env: { ...plan.env, SECRET: 'secret' } })
    const names = `[Object.keys(Deno.env.toObject()).sort(), new TextDecoder().decode(Deno.readFileSync('/proc/1/environ')).includes('secret')]`
    const clean = [['DENO_DIR', 'DENO_NO_UPDATE_CHECK', 'LANG', 'NO_COLOR', 'PWD', 'TZ'], false]
    expect(await reach(names)).toEqual(clean)
    expect(await reach(names, secret)).toEqual(clean)
    expect(await reach(names, both(secret, without(['--clearenv', 0], ['--as-pid-1', 0])))).toContainEqual(true)
    const line = `Deno.readTextFileSync('/proc/1/cmdline').includes('--ro-bind')`
    expect(await reach(line)).toBe(false)
    expect(await reach(line, without(['--as-pid-1', 0]))).toBe(true)
  })

  test('shows no other process and lets none be killed', async () => {
    if (!lab.hasBubblewrap('no siblings')) return
    const sibling = spawnAs(lab.plan().user)
    const gone = new Promise((resolve) => sibling.once('exit', (_, signal) => resolve(signal)))
    const kill = `(Deno.kill(${sibling.pid}, 'SIGKILL'), 'killed')`
    const pids = `[...Deno.readDirSync('/proc')].filter((entry) => /^[0-9]+$/.test(entry.name)).length`
    expect(await reach(pids)).toBe(1)
    expect(await reach(kill)).toBe('refused')
    expect(sibling.exitCode).toBe(null)
    // The one user id inside stands for the one outside, so its processes are fair game once they are in sight.
    expect(await reach(kill, sharePids)).toBe('killed')
    expect(await gone).toBe('SIGKILL')
  })

  test('cannot be left by way of the core pattern', async () => {
    if (!lab.hasBubblewrap('the core pattern')) return
    const open = `(Deno.openSync('/proc/sys/kernel/core_pattern', { write: true }), 'writable')`
    expect(await reach(open)).toBe('refused')
    if (process.getuid?.() !== 0) return console.warn('not run: the core pattern as root: this is an ordinary user')
    const asRoot: Alter = (plan) => ({ ...plan, user: undefined })
    expect(await reach(open, asRoot)).toBe('refused')
    const bound = lab.plan().bwrap.indexOf('/proc/sys') - 1
    const unbound: Alter = (plan) => ({ ...plan, bwrap: plan.bwrap.toSpliced(bound, 3) })
    expect(await reach(open, unbound)).toBe('refused')
    expect(await reach(open, both(asRoot, unbound))).toBe('writable')
  })

  test('allows no further user namespace', async () => {
    if (!lab.hasBubblewrap('no user namespaces')) return
    const tools = withMore('--ro-bind', '/usr', '/usr')
    const unshare = `new Deno.Command('/usr/bin/unshare', { args: ['-Ur', '/usr/bin/true'] }).outputSync().success`
    const noFilter = without(['--seccomp', 1])
    expect(await reach(unshare, tools)).toBe(false)
    expect(await reach(unshare, both(tools, noFilter))).toBe(false)
    expect(await reach(unshare, both(tools, without(['--disable-userns', 0])))).toBe(false)
    expect(await reach(unshare, both(tools, noFilter, without(['--disable-userns', 0])))).toBe(true)
  })

  test('refuses system calls that kernels were broken through', async () => {
    if (!lab.hasBubblewrap('the system call filter')) return
    if (process.arch !== 'x64') return console.warn(`not run: the system call filter: numbers of ${process.arch}`)
    // In turn: keyctl(KEYCTL_GET_KEYRING_ID, the session keyring, create), modify_ldt, socket(AF_UNIX, SOCK_STREAM),
    // prctl(PR_SET_PDEATHSIG, none); then getpid() and prctl(PR_GET_DUMPABLE), to show that others go on.
    const call = `(() => {
      const libc = [...Deno.readDirSync('/lib/x86_64-linux-gnu')].find((entry) => entry.name.startsWith('libc.so')).name
      const { symbols } = Deno.dlopen('/lib/x86_64-linux-gnu/' + libc, { syscall: { parameters: ['i64', 'i64', 'i64', 'i64'], result: 'i64' } })
      const calls = [[250n, 0n, -3n, 1n], [154n, 0n, 0n, 0n], [41n, 1n, 1n, 0n], [157n, 1n, 0n, 0n], [39n, 0n, 0n, 0n], [157n, 3n, 0n, 0n]]
      return calls.map((call) => symbols.syscall(...call) >= 0)
    })()`
    expect(await reach(call)).toEqual([false, false, false, false, true, true])
    expect(await reach(call, without(['--seccomp', 1]))).toEqual([true, true, true, true, true, true])
  })

  test('refuses calls by the entry of 32-bit programs, whose numbers are others', async () => {
    if (!lab.hasBubblewrap('32-bit system calls')) return
    if (process.arch !== 'x64') return console.warn(`not run: 32-bit system calls: not of ${process.arch}`)
    const ends = async (entry: Entry, alter: Alter = (plan) => plan) => {
      const program = await lab.program(callProgram(entry, GETPID[entry]))
      const run = `new Deno.Command('/call').outputSync()`
      return await reach(
        `(({ code, signal }) => signal ?? code)(${run})`,
        both(withMore('--ro-bind', program, '/call'), alter),
      )
    }
    expect(await ends('syscall')).toBe(0)
    // Where the kernel was built without them, they end in a signal.
    expect([1, 'SIGSEGV']).toContain(await ends('int 0x80'))
    expect([0, 'SIGSEGV']).toContain(await ends('int 0x80', without(['--seccomp', 1])))
  })

  test('has no graphics card', async () => {
    if (!lab.hasBubblewrap('no graphics card')) return
    expect(await reach(`navigator.gpu?.requestAdapter() ?? null`)).toBe(null)
  })
})

describe('limits', () => {
  test('a fork bomb ends at the process limit', async () => {
    if (!lab.hasBubblewrap('a fork bomb')) return
    const bomb = (looks: number) => `(async () => {
      const args = ['eval', '--no-config', 'setTimeout(() => {}, 60000)']
      for (let i = 0; i < 20; i++) try { new Deno.Command('/deno', { args, stderr: 'null' }).spawn() } catch {}
      let most = 0
      for (let look = 0; look < ${looks} && most <= ${LIMITS.UNIT_PROCESSES_MAX}; look++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        const pids = [...Deno.readDirSync('/proc')].filter((entry) => /^[0-9]+$/.test(entry.name))
        const threads = pids.flatMap((pid) => { try { return [...Deno.readDirSync('/proc/' + pid.name + '/task')] } catch { return [] } })
        most = Math.max(most, threads.length)
      }
      return most
    })()`
    const unlimited: Alter = (plan) => ({
      ...plan,
      prlimit: plan.prlimit.filter((word) => !word.startsWith('--nproc')),
    })
    // The bomber itself may be refused a thread that it cannot do without, and ends before it has said anything.
    const threads = async (alter: Alter, looks: number) =>
      Number(await lab.intrude(say(bomb(looks)), both(allowAll, alter)))
    expect(await threads((plan) => plan, 30)).toBeLessThanOrEqual(LIMITS.UNIT_PROCESSES_MAX)
    // It ends as soon as there are as many, which takes a machine that has other things to do longer.
    expect(await threads(unlimited, 500)).toBeGreaterThan(LIMITS.UNIT_PROCESSES_MAX)
  })

  test('files that are open have a number, and cores are not dumped', async () => {
    const limits = `Object.fromEntries(Deno.readTextFileSync('/proc/self/limits').split('\\n').map((line) => [line.slice(0, 25).trim(), line.slice(47, 67).trim()]))`
    expect(await reach(limits)).toMatchObject({
      'Max open files': String(LIMITS.SANDBOX_OPEN_FILES_MAX),
      'Max core file size': '0',
      'Max file size': String(LIMITS.SANDBOX_FILE_MAX_BYTES),
      'Max data size': String((LIMITS.SANDBOX_BASE_MIB + 64) * 1024 * 1024),
    })
  })
})

const sharePids: Alter = (plan) => {
  const shared = ['--unshare-user', '--unshare-ipc', '--unshare-net', '--unshare-uts', '--bind', '/proc', '/proc']
  const taken = without(['--unshare-all', 0], ['--as-pid-1', 0], ['--proc', 1])(plan)
  return {
    ...taken,
    bwrap: [taken.bwrap[0] ?? '', ...shared.slice(0, 4), ...taken.bwrap.slice(1, -1), ...shared.slice(4), '--'],
  }
}

function spawnAs(user: { uid: number; gid: number } | undefined): ChildProcess {
  return spawn('sleep', ['20'], { stdio: 'ignore', ...(user ?? {}) })
}
