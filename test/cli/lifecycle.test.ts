/** The program itself, as processes: up, down, detached, refused, killed. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddressFile } from '../../node/api/address-file.ts'
import { statusSchema } from '../../protocol/api.ts'
import { peersSchema } from '../../protocol/api-peers.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAM = join(ROOT, 'bin/talkoot.js')
const DEADLINE_MS = 120_000

let folder: string
let children: ChildProcess[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'talkoot-life-'))
  children = []
})

afterEach(async () => {
  for (const name of ['a', 'b']) {
    const pid = pidOf(name)
    if (pid !== null) process.kill(pid, 'SIGKILL')
  }
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const homeOf = (name: string): string => join(folder, name)
const envOf = (name: string) => ({ ...process.env, TALKOOT_HOME: homeOf(name), NO_COLOR: '1' })
const pidOf = (name: string): number | null => readAddressFile(join(homeOf(name), 'api.json'))?.pid ?? null

function talkoot(name: string, args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const options = { env: envOf(name), cwd: ROOT, timeout: DEADLINE_MS }
    execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr })
    })
  })
}

const UP = ['up', '--cores', '1', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0']
const detached = (name: string, ...more: string[]) => talkoot(name, [...UP, '--detach', '--name', name, ...more])

async function foreground(name: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [PROGRAM, ...UP, '--name', name], { env: envOf(name), stdio: 'pipe' })
  children.push(child)
  await until(() => pidOf(name) !== null)
  return child
}

async function until(fact: () => boolean | Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  while (!(await fact())) await wait(50, undefined, { signal })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('two machines, from up to down', async () => {
  const up = await detached('a', '--json')
  expect(up).toMatchObject({ code: 0, stderr: '' })
  const facts = JSON.parse(up.stdout)
  expect(facts).toMatchObject({ schema: 'talkoot.up/1', founded: true, joined: false })
  statusSchema.parse(facts.status)
  expect(facts.token).toMatch(/^talkoot1:/)
  expect(statSync(homeOf('a')).mode & 0o777).toBe(0o700)
  expect(statSync(join(homeOf('a'), 'node.log')).mode & 0o777).toBe(0o600)

  const second = await talkoot('a', UP)
  expect(second.code).toBe(7)
  expect(second.stderr).toContain(`E_ALREADY_RUNNING process ${pidOf('a')} already runs a node`)
  expect((await detached('a')).code).toBe(7)

  const joined = await detached('b', '--join', facts.token)
  expect(joined.code).toBe(0)
  expect(joined.stdout).toContain(`fingerprint ${facts.status.mesh.fingerprint} matches the token`)
  await until(async () => {
    const peers = peersSchema.parse(JSON.parse((await talkoot('a', ['peers', '--json'])).stdout))
    return peers.peers.length === 2
  })

  const run = ['run', 'examples/pi/pi.task.ts', '-p', 'batch=0:6', '-p', 'n=1e4', '--quorum', '2', '-o', 'jsonl']
  const ran = await talkoot('b', run)
  expect(ran.code).toBe(0)
  const rows = ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(rows.map(({ params }) => params.batch).toSorted()).toEqual([0, 1, 2, 3, 4, 5])
  expect(rows.every(({ peers }) => new Set(peers).size === 2)).toBe(true)

  const used = await talkoot('b', ['down'])
  expect(used.code).toBe(0)
  const pid = pidOf('a')
  expect((await talkoot('a', ['down', '-o', 'quiet'])).stdout).toBe(`${pid}\n`)
  expect((await talkoot('a', ['status'])).code).toBe(3)
  // Stopped is stopped: the folder is free at once, and the mesh is still its own.
  const again = await detached('a', '--json')
  expect(JSON.parse(again.stdout)).toMatchObject({ founded: false, token: null })
  expect((await talkoot('a', ['down'])).code).toBe(0)
})

test('a detached start that fails says why', async () => {
  const malformed = await detached('a', '--join', 'talkoot1:rubbish')
  expect(malformed).toMatchObject({ code: 2, stdout: '' })
  expect(malformed.stderr).toContain('E_TOKEN_MALFORMED')
  expect(pidOf('a')).toBeNull()

  mkdirSync(homeOf('b'), { mode: 0o700 })
  writeFileSync(join(homeOf('b'), 'config.json'), '{"cpus": -1}')
  const config = await talkoot('b', ['up', '--detach', '--no-mdns'])
  expect(config).toMatchObject({ code: 2, stdout: '' })
  expect(config.stderr).toContain('E_CONFIG')
})

test('flags that contradict each other are refused before anything starts', async () => {
  const runs = [
    ['--open', '--private'],
    ['--port', '1', '--listen', '/ip4/127.0.0.1/tcp/0'],
    ['--label', 'room'],
    ['--share', 'member'],
  ]
  for (const flags of runs) {
    const { code, stderr } = await talkoot('a', ['up', ...flags])
    expect({ code, coded: stderr.includes('E_USAGE') }).toEqual({ code: 2, coded: true })
  }
  expect(existsSync(homeOf('a'))).toBe(false)
})

test('in the foreground it stops when it is told to, and leaves nothing running', async () => {
  const child = await foreground('a')
  const pid = pidOf('a')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
  expect(existsSync(join(homeOf('a'), 'api.json'))).toBe(false)
  expect(pid !== null && isAlive(pid)).toBe(false)
})

test('a signal that comes twice at once, as through a launcher, is no haste', async () => {
  const child = await foreground('a')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
  expect(existsSync(join(homeOf('a'), 'api.json'))).toBe(false)
})

test('under an old Node.js the launcher finds a newer one, and its death ends the node', async () => {
  const old = await oldNode()
  if (old === null) return console.warn('not run: no Node.js older than 24 is on this machine')
  const child = spawn(old, [PROGRAM, ...UP], { env: envOf('a'), stdio: 'ignore' })
  children.push(child)
  await until(() => pidOf('a') !== null)
  const pid = pidOf('a') ?? 0
  expect(pid).not.toBe(child.pid)
  child.kill('SIGKILL')
  await until(() => !isAlive(pid))
})

test('the demo takes its nodes with it when it is killed', async () => {
  const temporary = homeOf('tmp')
  mkdirSync(temporary)
  const env = { ...envOf('a'), TMPDIR: temporary }
  const child = spawn(process.execPath, [PROGRAM, 'demo', '--out', join(folder, 'out')], { env, stdio: 'pipe' })
  children.push(child)
  let told = ''
  child.stderr?.on('data', (text) => {
    told += text
  })
  await until(() => told.includes('found each other'))
  const pids = ['alder', 'birch', 'cedar'].map((name) => {
    const demo = readdirSync(temporary).find((entry) => entry.startsWith('talkoot-demo-')) ?? ''
    return readAddressFile(join(temporary, demo, name, 'api.json'))?.pid ?? 0
  })
  expect(pids.every((pid) => pid > 0 && isAlive(pid))).toBe(true)
  child.kill('SIGKILL')
  await until(() => !pids.some(isAlive))
})

async function oldNode(): Promise<string | null> {
  const places = (process.env.PATH ?? '').split(':').map((place) => join(place, 'node'))
  for (const node of places.filter((place) => existsSync(place))) {
    const version = await new Promise<string>((done) => execFile(node, ['--version'], (_error, stdout) => done(stdout)))
    if (Number(/^v(\d+)/.exec(version)?.[1] ?? 24) < 24) return node
  }
  return null
}
