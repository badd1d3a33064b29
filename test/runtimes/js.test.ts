/** The js runtime under each confinement this machine can give, as each user it can be, and what it leaves behind. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, copyFile, link, mkdir, mkdtemp, open, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Confinement } from '../../node/runtimes/runtime.ts'
import { descendantsOf, isAlive, sandboxFolders } from './remains.ts'

const FIXTURE = fileURLToPath(new URL('./fixture-node.ts', import.meta.url))
const NOBODY = { uid: 65534, gid: 65534 }
const isRoot = process.getuid?.() === 0
const confinements: Confinement[] = ['os', 'runtime']

let scratchDir: string
/** Why this machine cannot give the strongest confinement; empty if it can. */
let unconfined = ''
beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
  const runtime = createJsRuntime({ scratchDir })
  const { confinement, warning } = await runtime.probe(AbortSignal.timeout(120_000))
  await runtime.stop()
  if (confinement !== 'os') unconfined = warning ?? 'no bubblewrap'
})
afterAll(() => rm(scratchDir, { recursive: true }))

describe.each(confinements)('js, confinement %s', (confinement) => {
  test('works for an ordinary user, with no HOME', async () => {
    if (confinement === 'os' && unconfined) return console.warn(`not run: bubblewrap: ${unconfined}`)
    if (!isRoot) return console.warn('not run: another ordinary user: this is not root')
    const own = join(scratchDir, `own-${confinement}`)
    await mkdir(own, { mode: 0o700 })
    await chown(own, NOBODY.uid, NOBODY.gid)
    await chmod(scratchDir, 0o711)
    const [probe, attempts] = await linesOf(startNode([own, confinement], NOBODY))
    expect(probe).toMatchObject({ kind: 'js', confinement, uid: NOBODY.uid })
    expect(attempts).toEqual([{ unit: 0, ok: true, value: '0.8414709848078965' }])
    expect(await readdir(own)).toEqual([])
  })

  test('works for root where only root can read', async () => {
    if (confinement === 'os' && unconfined) return console.warn(`not run: bubblewrap: ${unconfined}`)
    if (!isRoot) return console.warn('not run: folders of root: this is not root')
    const hidden = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
    const denoPath = join(hidden, 'deno')
    const original = fileURLToPath(import.meta.resolve(`@deno/linux-${process.arch}-glibc/package.json`))
    await link(original.replace('package.json', 'deno'), denoPath).catch(() =>
      copyFile(original.replace('package.json', 'deno'), denoPath),
    )
    await chmod(hidden, 0o700)
    const runtime = createJsRuntime({ scratchDir: join(hidden, 'state'), confinement, denoPath })
    const probe = await runtime.probe(AbortSignal.timeout(120_000))
    expect(probe).toMatchObject({ confinement, uid: NOBODY.uid })
    await runtime.stop()
    await rm(hidden, { recursive: true })
  })

  test('a process that is still starting can be killed', async () => {
    const runtime = createJsRuntime({ scratchDir, confinement })
    await runtime.probe(AbortSignal.timeout(120_000))
    const before = await descendantsOf(process.pid)
    for (let round = 0; round < 60; round++) {
      const source = 'module.exports = () => { for (;;); }'
      const sandbox = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 60_000 })
      const attempt = sandbox
        .run([{ unit: 0, params: '0' }], AbortSignal.timeout(120_000))
        [Symbol.asyncIterator]()
        .next()
      // Bubblewrap takes some 8 ms: each moment of them has its turn.
      await setTimeout(round % 12)
      await sandbox.close()
      expect(await attempt).toMatchObject({ done: true })
    }
    await runtime.stop()
    expect((await descendantsOf(process.pid)).filter((pid) => !before.includes(pid))).toEqual([])
  })

  test('its processes die with a node that is killed, and the next node removes its files', async () => {
    if (confinement === 'os' && unconfined) return console.warn(`not run: bubblewrap: ${unconfined}`)
    const node = startNode([scratchDir, confinement, 'loop'])
    const [probe] = await linesOf(node, 'looping')
    expect(probe).toMatchObject({ confinement })
    const children = await descendantsOf(node.pid)
    expect(children.length).toBeGreaterThan(0)
    node.kill('SIGKILL')
    await once(node, 'exit')
    const deadline = AbortSignal.timeout(60_000)
    for (const pid of children) while (await isAlive(pid)) deadline.throwIfAborted()
    expect(await sandboxFolders(scratchDir, node.pid)).toHaveLength(1)
    const next = createJsRuntime({ scratchDir, confinement })
    await next.probe(AbortSignal.timeout(120_000))
    await next.stop()
    expect(await sandboxFolders(scratchDir, node.pid)).toEqual([])
  })
})

test('what the node inherited and does not know of is not for units', async () => {
  if (process.platform !== 'linux') return console.warn('not run: inherited descriptors: this is not Linux')
  const secret = join(scratchDir, 'secret')
  await writeFile(secret, '')
  const file = await open(secret)
  // Node itself sees to descriptors up to the first gap beyond 15.
  const leaked = [...Array.from({ length: 37 }, () => 'ignore' as const), file.fd]
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit', ...leaked]
  const node = spawn(process.execPath, [FIXTURE, scratchDir, 'os', 'loop'], { stdio })
  await file.close()
  await linesOf(node, 'looping')
  expect(await filesOf(node.pid)).toContain(secret)
  const children = await descendantsOf(node.pid)
  expect(children.length).toBeGreaterThan(0)
  for (const pid of children) expect(await filesOf(pid)).not.toContain(secret)
  node.kill('SIGKILL')
  await once(node, 'exit')
})

test('root removes no folder of another user', async () => {
  if (!isRoot) return console.warn('not run: a folder of another user: this is not root')
  // No process has a number this high.
  const folder = join(tmpdir(), 'talkoot-sandbox-9999999-')
  const [theirs, ours] = [await mkdtemp(folder), await mkdtemp(folder)]
  await chown(theirs, NOBODY.uid, NOBODY.gid)
  const runtime = createJsRuntime({ scratchDir })
  await runtime.probe(AbortSignal.timeout(120_000))
  await runtime.stop()
  const left = await sandboxFolders(scratchDir, 9_999_999)
  await rm(theirs, { recursive: true })
  expect(left).toContain(basename(theirs))
  expect(left).not.toContain(basename(ours))
})

test('a deno that is not there is a coded refusal', async () => {
  const runtime = createJsRuntime({ scratchDir, denoPath: join(scratchDir, 'missing') })
  await expect(runtime.probe(AbortSignal.timeout(120_000))).rejects.toMatchObject({ code: 'E_RUNTIME_MISSING' })
  await runtime.stop()
})

test('a deno of another version is a coded refusal', async () => {
  const denoPath = join(scratchDir, 'other-deno')
  await writeFile(denoPath, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  const runtime = createJsRuntime({ scratchDir, denoPath, confinement: 'runtime' })
  await expect(runtime.probe(AbortSignal.timeout(120_000))).rejects.toMatchObject({ code: 'E_RUNTIME_MISSING' })
  await runtime.stop()
})

test('where user namespaces are not allowed, deno does it alone and the probe says so', async () => {
  if (unconfined) return console.warn(`not run: forbidding user namespaces: ${unconfined}`)
  if (!isRoot) return console.warn('not run: forbidding user namespaces: this is not root')
  const own = join(scratchDir, 'forbidden')
  await mkdir(own, { mode: 0o700 })
  await chown(own, NOBODY.uid, NOBODY.gid)
  await chmod(scratchDir, 0o711)
  const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
  const node = startNode([own, 'os'], NOBODY, [
    'unshare',
    '-U',
    '--map-current-user',
    '--keep-caps',
    'sh',
    '-c',
    forbid,
    'sh',
  ])
  const [probe, attempts] = await linesOf(node)
  expect(probe).toMatchObject({ confinement: 'runtime', warning: expect.stringContaining('bubblewrap does not work') })
  expect(attempts).toEqual([{ unit: 0, ok: true, value: '0.8414709848078965' }])
})

test('a root that cannot become another user refuses', async () => {
  if (!isRoot) return console.warn('not run: a root without other users: this is not root')
  // Root of a user namespace where no other user exists.
  const node = startNode([join(scratchDir, 'lonely'), 'os', 'refused'], {}, ['unshare', '-Ur'])
  expect(await linesOf(node)).toEqual([{ code: 'E_ROOT' }])
})

/** @param inside a command that runs the one after it */
function startNode(args: string[], user: { uid?: number; gid?: number } = {}, inside: string[] = []): ChildProcess {
  const env = { PATH: process.env.PATH ?? '', TMPDIR: tmpdir() }
  const [file = '', ...words] = [...inside, process.execPath, FIXTURE, ...args]
  return spawn(file, words, { ...user, env, stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Lines until the process ends, or up to the given one. */
async function linesOf(node: ChildProcess, last?: unknown): Promise<unknown[]> {
  const lines: unknown[] = []
  if (node.stdout === null) return lines
  for await (const line of createInterface(node.stdout)) {
    lines.push(JSON.parse(line))
    if (lines.at(-1) === last) break
  }
  return lines
}

/** What the descriptors of a process lead to. */
async function filesOf(pid: number | undefined): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`)
  return await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')))
}
