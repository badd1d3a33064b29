/** Containers: what every runtime does, what a unit in an image may not, and what is left of one. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DiskBudget } from '../../node/files/disk-budget.ts'
import { inspectArchive } from '../../node/runtimes/container/image-archive.ts'
import { file, sha256, tar } from '../../node/runtimes/container/probe-image.ts'
import { createContainerRuntime } from '../../node/runtimes/container/runtime.ts'
import type { Runtime, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { BLOCK_BYTES, header, padded } from '../../node/runtimes/tar-block.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { until } from '../mesh/nodes.ts'
import { collect, DEADLINE_MS } from './attempts.ts'
import { describeRuntime } from './compliance.ts'
import { containerSubject, NO_IMAGE } from './container-subject.ts'
import { imageAt, imageShell, inImage, makeImage, type TestImage } from './image.ts'
import { laidFrom, layDown } from './laid.ts'

const folder = mkdtempSync(join(tmpdir(), 'talkoot-image-'))
const made = await makeImage(folder).catch((error: Error) => error)
const image = made instanceof Error ? NO_IMAGE : made

describeRuntime('container', containerSubject(image))

const scratchDir = join(folder, 'scratch')
let runtime: Runtime
let obstacle: string | null = made instanceof Error ? made.message : null
beforeAll(async () => {
  runtime = createContainerRuntime({ scratchDir })
  obstacle ??= await runtime.probe(AbortSignal.timeout(DEADLINE_MS)).then(
    () => null,
    (error: Error) => error.message,
  )
})
afterAll(async () => {
  await runtime.stop()
  rmSync(folder, { recursive: true, force: true })
})

const runs = (name: string, body: () => Promise<void>): void =>
  test(name, async () => {
    if (obstacle === null) await body()
    else console.warn(`not run: ${name}: ${obstacle}`)
  })

/** What the source gives on one unit: its output, or its code and message. */
async function run(source: string, init: Partial<SandboxInit> = {}): Promise<string> {
  const limits = { cpus: 1, memoryMiB: 64, timeoutMs: 120_000 }
  const sandbox = runtime.open({ source, trees: image.trees, seed: 1, ...limits, ...init })
  const [attempt] = await collect(sandbox, [{ x: 1 }])
  await sandbox.close()
  return attempt?.ok ? JSON.parse(attempt.value).stdout : `${attempt?.code} ${attempt?.message}`
}
const sh = (lines: string, init?: Partial<SandboxInit>): Promise<string> => run(imageShell(image.ref, lines), init)

runs('a unit has the image’s variables and ours, nothing of the owner’s, and no rights', async () => {
  process.env.OWNERS_SECRET = 'secret'
  const said = await sh('echo $PATH $GREETING $TALKOOT_UNIT $OMP_NUM_THREADS $TALKOOT_PARAM_x; env | grep -ci secret', {
    cpus: 3,
  })
  delete process.env.OWNERS_SECRET
  expect(said).toBe(`E_EXIT exit code 1`)
  expect(await sh('echo $PATH $GREETING $TALKOOT_UNIT $OMP_NUM_THREADS $TALKOOT_PARAM_x', { cpus: 3 })).toBe(
    '/bin hello 0 3 1',
  )
  const status = await sh('grep -E "^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status | tr -s "\\t" " "')
  expect(status.split('\n')).toEqual([
    'Uid: 65534 65534 65534 65534',
    'CapEff: 0000000000000000',
    'CapBnd: 0000000000000000',
    'NoNewPrivs: 1',
    'Seccomp: 2',
  ])
})

runs('it reaches no network, and sees no process of this machine', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  expect(await sh(`nc -w 2 127.0.0.1 ${port} < /dev/null && echo reached || echo not`)).toBe('not')
  server.close()
  expect(await sh('cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d " "')).toBe('lo')
  expect(await sh('ls /proc | grep -c "^[0-9]"')).toMatch(/^[1-4]$/)
})

runs('it writes only in its folders, so much, and what it leaves is gone', async () => {
  expect(await sh('touch /x /bin/x /etc/x 2>/dev/null; touch x /tmp/x /dev/shm/x && ls /unit')).toBe('x')
  expect(await sh('ls /unit /tmp /dev/shm | grep -c x')).toBe('E_EXIT exit code 1')
  const mebibytes = LIMITS.COMMAND_SCRATCH_MIB + 1
  for (const place of ['/unit', '/tmp', '/dev/shm'])
    expect(await sh(`dd if=/dev/zero of=${place}/f bs=1M count=${mebibytes} 2>&1 | grep -c "No space"`)).toBe('1')
  expect(await sh('sleep 60 & echo done')).toBe('done')
})

runs('it has so many processes for each core, and the exit code of its program', async () => {
  const start = (count: number) => `for i in $(seq ${count}); do sleep 100 & done; echo started`
  expect(await sh(start(LIMITS.UNIT_PROCESSES_MAX / 2))).toBe('started')
  expect(await sh(start(LIMITS.UNIT_PROCESSES_MAX + 1))).toMatch(/^E_EXIT/)
  expect(await sh(start(LIMITS.UNIT_PROCESSES_MAX + 1), { cpus: 2 })).toBe('started')
  expect(await sh('sh -c "kill -9 \\$\\$"; exit $?')).toMatch(/^E_EXIT exit code 137 \(SIGKILL\)/)
  expect(await run(inImage(image.ref, { argv: ['gone'] }))).toMatch(/^E_EXIT exit code 127/)
  expect(await run(inImage(image.ref, { argv: ['cat'], stdin: 'x is {x}' }))).toBe('x is 1')
})

runs('its files are there, read-only, whatever their names', async () => {
  const laid = await layDown(folder, { 'data/a': 'A', 'odd, "name": x': 'B' })
  const trees = new Map([...image.trees, ...laid.trees])
  const argv = [
    'sh',
    '-c',
    'cat data/a odd*; touch data/b 2>/dev/null || echo " kept"; rm -f odd* 2>/dev/null || echo kept',
  ]
  const source = inImage(image.ref, { argv, inputs: laid.ref })
  expect(await run(source, { trees })).toBe('AB kept\nkept')
})

runs('it makes no keyring, which all of its user would share, and no user of its own', async () => {
  if (process.arch !== 'x64') return console.warn(`not run: system calls of ${process.arch}`)
  const [getpid, keyctl, addKey, unshare, newUser] = [39, 250, 248, 272, 0x10000000]
  const [mmap, socket, vsock, unix, both] = [9, 41, 40, 1, 3]
  const [privately, shared] = [0x22, 0x21]
  const calls = join(folder, 'calls')
  mkdirSync(calls)
  const session = 0xfffffffd
  for (const [name, of] of Object.entries({
    allowed: [getpid],
    'own memory': [mmap, 0, 4096, both, privately],
    'own socket': [socket, unix, 1],
    'shared memory': [mmap, 0, 4096, both, shared],
    vsock: [socket, vsock, 1],
    keyctl: [keyctl, 0, session],
    'add-key': [addKey, 0, 0],
    unshare: [unshare, newUser, 0],
    clone: [56, newUser, 0],
  })) {
    writeFileSync(join(calls, name), calling(of), { mode: 0o755 })
  }
  const laid = await laidFrom(calls)
  const trees = new Map([...image.trees, ...laid.trees])
  const called = (name: string) => run(inImage(image.ref, { argv: [`./${name}`], inputs: laid.ref }), { trees })
  for (const name of ['allowed', 'own memory', 'own socket']) expect([name, await called(name)]).toEqual([name, ''])
  const refused = `E_EXIT exit code ${constants.errno.ENOSYS}`
  for (const name of ['keyctl', 'add-key', 'unshare', 'clone', 'shared memory', 'vsock'])
    expect([name, await called(name)]).toEqual([name, refused])
})

runs('variables of the image without a value take none of this machine’s', async () => {
  const odd = ['PATH=/bin', 'HOME', 'XDG_RUNTIME_DIR', 'CONTAINERS*', '=x', '', 'A=\0', 'GREETING=hello']
  writeFileSync(join(folder, 'odd.tar'), changed(readFileSync(image.archive), { env: odd }))
  const { ref, trees } = await imageAt(folder, 'odd.tar')
  const said = await run(inImage(ref, { argv: ['env'] }), { trees })
  const names = said.split('\n').map((line) => line.split('=')[0] ?? '')
  expect(said).toContain('HOME=/unit')
  expect(said).toContain('GREETING=hello')
  expect(names.filter((name) => /^(CONTAINERS|XDG|$)/.test(name))).toEqual([])
})

runs('its files are kept where the image has nothing but its program', async () => {
  const busybox = layerOf(readFileSync(image.archive)).files.get('./bin/busybox')
  if (busybox === undefined) throw new Error('no busybox in the image')
  const bare = tar([header({ name: 'bin/', type: '5', bytes: 0 }), file('bin/cp', busybox, 0o755)])
  writeFileSync(join(folder, 'bare.tar'), changed(readFileSync(image.archive), { layers: [bare] }))
  const { ref, trees } = await imageAt(folder, 'bare.tar')
  const laid = await layDown(folder, { given: 'given' })
  const kept: string[] = []
  const value = await run(inImage(ref, { argv: ['cp', 'given', 'left'], inputs: laid.ref, outputs: ['*'] }), {
    trees: new Map([...trees, ...laid.trees]),
    keepFiles: async (_, files) => {
      for await (const { path, content } of files) kept.push(`${path}: ${await text(content)}`)
      return laid.ref
    },
  })
  expect(value).toBe('')
  expect(kept).toEqual(['left: given'])
})

runs('a folder has no place where the image has something else', async () => {
  const extra = tar([header({ name: 'opt', type: '2', bytes: 0, link: '/etc' }), file('srv', 'x')])
  writeFileSync(join(folder, 'taken.tar'), changed(readFileSync(image.archive), { more: extra }))
  const { ref, trees } = await imageAt(folder, 'taken.tar')
  const laid = await layDown(folder, { x: 'x' })
  for (const at of ['/opt/env', '/srv/env', '/srv']) {
    const source = inImage(ref, { argv: ['true'], folders: [{ at, tree: laid.ref }] })
    const said = await run(source, { trees: new Map([...trees, ...laid.trees]) })
    expect(said).toMatch(/^E_SOURCE the image has no folder but something else at \/(opt|srv)$/)
  }
})

runs('of an image, what could harm this machine is left out or led nowhere', async () => {
  const victim = join(folder, 'victim')
  mkdirSync(victim)
  chmodSync(victim, 0o700)
  const extra = tar([
    header({ name: 'tmp', type: '2', bytes: 0, link: victim }),
    header({ name: 'unit', type: '2', bytes: 0, link: victim }),
    header({ name: 'disk', type: '4', bytes: 0 }),
    file('evil', '#!/bin/sh\n', 0o4755),
  ])
  const archive = changed(readFileSync(image.archive), { more: extra })
  mkdirSync(join(folder, 'evil'))
  writeFileSync(join(folder, 'evil', 'app.tar'), archive)
  const evil = await imageAt(join(folder, 'evil'), 'app.tar')
  const lines = 'ls -l /evil | cut -c1-10; ls /disk 2>&1 | grep -c "No such"; touch /tmp/x /unit/y && echo wrote'
  expect(await run(imageShell(evil.ref, lines), { trees: evil.trees })).toBe('-rwxr-xr-x\n1\nwrote')
  expect(statSync(victim).mode & 0o7777).toBe(0o700)
  expect(readdirSync(victim)).toEqual([])
})

runs('one that is none is refused, and so is one that podman does not take', async () => {
  mkdirSync(join(folder, 'none'))
  writeFileSync(join(folder, 'none', 'app.tar'), 'no image')
  const none = await imageAt(join(folder, 'none'), 'app.tar')
  expect(await run(imageShell(none.ref, 'true'), { trees: none.trees })).toMatch(/^E_IMAGE/)
  const wrong = readFileSync(image.archive)
  // A byte of a file in the layer: its digest is not what the image says.
  wrong[200_000] = (wrong[200_000] ?? 0) ^ 1
  writeFileSync(join(folder, 'none', 'wrong.tar'), wrong)
  const changed = await imageAt(join(folder, 'none'), 'wrong.tar')
  expect(await run(imageShell(changed.ref, 'true'), { trees: changed.trees })).toMatch(/^E_IMAGE podman/)
})

runs('unpacked images stay within the owner’s disk, the longest unused making room', async () => {
  const archives = ['a', 'b'].map((name) => {
    const path = join(folder, `${name}.tar`)
    writeFileSync(path, changed(readFileSync(image.archive), { env: [`NAME=${name}`, 'PATH=/bin'] }))
    return path
  })
  const [a, b] = await Promise.all(archives.map((path) => imageAt(folder, path.slice(folder.length + 1))))
  if (a === undefined || b === undefined) throw new Error('two images')
  const { layers } = await inspectArchive(a.archive, AbortSignal.timeout(DEADLINE_MS))
  const one = layers.reduce((sum, layer) => sum + layer, 0)
  const bytes = (factor: number) => new DiskBudget(Math.ceil(one * factor))
  const within = async (disk: DiskBudget, body: (open: (of: TestImage) => Sandbox) => Promise<void>) => {
    const own = createContainerRuntime({ scratchDir, disk })
    const init = { seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 120_000 }
    await body(({ ref, trees }) => own.open({ source: imageShell(ref, 'echo $NAME'), trees, ...init }))
    await own.stop()
  }
  const said = async (sandbox: Sandbox): Promise<string> => {
    const [attempt] = await collect(sandbox, [{ x: 1 }])
    return attempt?.ok ? JSON.parse(attempt.value).stdout : `${attempt?.code}`
  }
  // It takes twice what it comes to while it is unpacked.
  await within(bytes(1.9), async (open) => expect(await said(open(a))).toBe('E_DISK_BUDGET'))
  const disk = bytes(2.5)
  await within(disk, async (open) => {
    const [first, second] = [open(a), open(b)]
    expect([await said(first), disk.usedBy('image')]).toEqual(['a', one])
    expect(await said(second)).toBe('E_DISK_TAKEN')
    await first.close()
    await second.close()
    expect([await said(open(b)), disk.usedBy('image')]).toEqual(['b', one])
  })
})

runs('a node that is killed leaves no container, no process of podman and no mount', async () => {
  const own = join(folder, 'killed')
  const fixture = join(import.meta.dirname, 'fixture-container.ts')
  const node = spawn(process.execPath, [fixture, own, join(folder, 'image'), String(SLEEP_S)], { stdio: 'ignore' })
  const groups = () => groupsOf(node.pid)
  await until(async () => sleepers().length === 2, DEADLINE_MS)
  expect(groups().length).toBeGreaterThan(0)
  node.kill('SIGKILL')
  await once(node, 'exit')
  await until(async () => sleepers().length === 0)
  await until(async () => !commandLines().some((line) => line.includes(own)))
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(own)
  // What is left of its files and control groups goes with the next that starts.
  const next = createContainerRuntime({ scratchDir: own })
  await next.probe(AbortSignal.timeout(DEADLINE_MS))
  expect(groups()).toEqual([])
  await next.stop()
  expect(readdirSync(own)).toEqual([])
})

const commandLines = (): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')] : []
    } catch {
      return []
    }
  })
/** No other test of this machine sleeps as long. */
const SLEEP_S = 1_000_000 + process.pid
const sleepers = (): string[] => commandLines().filter((line) => line === `sleep ${SLEEP_S} `)

const groupsOf = (pid: number | undefined): string[] =>
  ['', ...readdirSync('/sys/fs/cgroup')].flatMap((controller) => {
    const root = join('/sys/fs/cgroup', controller)
    if (!statSync(root).isDirectory()) return []
    return readdirSync(root).filter((name) => name.startsWith(`talkoot-${pid}-`))
  })

/** The files of an archive, and of its one layer, by their names. */
function layerOf(archive: Buffer): { files: Map<string, Buffer> } {
  const outer = filesOf(archive)
  const [{ Layers: layers }] = JSON.parse(String(outer.get('manifest.json')))
  return { files: filesOf(outer.get(layers[0]) ?? Buffer.alloc(0)) }
}

function filesOf(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  for (let at = 0; archive[at] !== 0; ) {
    const bytes = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8)
    const [name = ''] = archive.toString('utf8', at, at + 100).split('\0')
    files.set(name, archive.subarray(at + BLOCK_BYTES, at + BLOCK_BYTES + bytes))
    at += BLOCK_BYTES + padded(bytes)
  }
  return files
}

/** The image with other layers, one layer more, or other variables. */
function changed(archive: Buffer, { layers, more, env }: { layers?: Buffer[]; more?: Buffer; env?: string[] }): Buffer {
  const old = filesOf(archive)
  const [{ Config: name, Layers: names }] = JSON.parse(String(old.get('manifest.json')))
  const config = JSON.parse(String(old.get(name)))
  const all = layers ?? names.map((of: string) => old.get(of))
  if (more !== undefined) all.push(more)
  config.rootfs.diff_ids = all.map((layer: Buffer) => `sha256:${sha256(layer)}`)
  if (env !== undefined) config.config.Env = env
  const text = JSON.stringify(config)
  const named = all.map((_: Buffer, i: number) => `${i}.tar`)
  return tar([
    file('manifest.json', JSON.stringify([{ Config: `${sha256(text)}.json`, RepoTags: null, Layers: named }])),
    file(`${sha256(text)}.json`, text),
    ...all.map((layer: Buffer, i: number) => file(`${i}.tar`, layer)),
  ])
}

/** A program for x86-64 that makes one system call with four arguments, and ends with its error, or 0. */
function calling([call = 0, first = 0, second = 0, third = 0, fourth = 0]: readonly number[]): Buffer {
  const code = Buffer.from(
    [
      ['b8', word(call), 'bf', word(first), 'be', word(second), 'ba', word(third), '41ba', word(fourth)],
      // No file, from its beginning.
      ['4983c8ff', '4531c9', '0f05'],
      // If it gave less than 0: that, turned.
      ['31ff', '4885c0', '7904', 'f7d8', '89c7'],
      ['b8', word(60), '0f05'],
    ]
      .flat()
      .join(''),
    'hex',
  )
  const base = 0x400000
  const start = Buffer.alloc(120)
  start.write('7f454c46020101', 'hex')
  // Executable, x86-64, version 1; where it begins, and the one segment it has.
  start.writeUInt32LE(0x3e0002, 16)
  start.writeUInt32LE(1, 20)
  start.writeBigUInt64LE(BigInt(base + start.length), 24)
  start.writeBigUInt64LE(64n, 32)
  start.writeUInt16LE(64, 52)
  start.writeUInt16LE(56, 54)
  start.writeUInt16LE(1, 56)
  start.writeUInt32LE(1, 64)
  start.writeUInt32LE(5, 68)
  start.writeBigUInt64LE(BigInt(base), 80)
  for (const at of [96, 104]) start.writeBigUInt64LE(BigInt(start.length + code.length), at)
  return Buffer.concat([start, code])
}

function word(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes.toString('hex')
}
