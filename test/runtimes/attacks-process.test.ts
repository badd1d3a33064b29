/** Attacks by a process that has escaped the harness: on the node's pipe, on Deno's permissions, on limits. */

import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seenFolder } from '../../node/runtimes/js/launch.ts'
import type { SandboxInit } from '../../node/runtimes/runtime.ts'
import { TreeStore } from '../../node/store/tree-store.ts'
import { UnitFiles } from '../../node/worker/unit-files.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { encodeWasiProgram } from '../../protocol/wasm/wasi-program.ts'
import { type Alter, allowAll, endOf, Laboratory } from './laboratory.ts'
import { wasi, wasmOf } from './wat.ts'

let lab: Laboratory
let bare: Laboratory
beforeAll(async () => {
  lab = await Laboratory.open('os')
  bare = await Laboratory.open('runtime')
})
afterAll(() => Promise.all([lab.close(), bare.close()]))

const SPEAK = `
  const fill = (b) => { for (let n = 0; n < b.length; ) { const r = Deno.stdin.readSync(b.subarray(n)); if (r === null) Deno.exit(0); n += r } return b }
  const read = () => JSON.parse(new TextDecoder().decode(fill(new Uint8Array(new DataView(fill(new Uint8Array(4)).buffer).getUint32(0)))))
  const put = (bytes) => { for (let n = 0; n < bytes.length; ) n += Deno.stdout.writeSync(bytes.subarray(n)) }
  const head = (n) => { const b = new Uint8Array(4); new DataView(b.buffer).setUint32(0, n); return b }
  const say = (text) => { const b = new TextEncoder().encode(text); put(head(b.length)); put(b) }
  const { token } = read()
  say(JSON.stringify({ token, deno: '2.9.6' }))
  const { id } = read()
  const ends = (ends, more) => say(JSON.stringify({ token, id, ends, ...more }))
`

/** An archive of one file, in one part. */
const LEAVE = `
  const part = (text) => say(JSON.stringify({ token, id, part: btoa(text) }))
  const leave = (name, text, kind = '0') => {
    const fields = [name.padEnd(100, '\\0'), '0000600'.padEnd(24, '\\0'), text.length.toString(8).padStart(11, '0').padEnd(24, '\\0')]
    const block = (sum) => (fields.join('') + sum + kind).padEnd(512, '\\0')
    const sum = [...block('        ')].reduce((all, char) => all + char.charCodeAt(0), 0)
    part('\\n' + block(sum.toString(8).padStart(6, '0') + '\\0 ') + text.padEnd(text === '' ? 0 : 512, '\\0') + '\\0'.repeat(1024))
    part('')
  }
  const gives = (value) => ends([[null, value, '']])
`

describe('the pipe to the node', () => {
  test.each([
    ['a foreign token', `ends([[null, '1', '']], { token: 'guess' })`],
    ['no token', `ends([[null, '1', '']], { token: undefined })`],
    ['another exchange', `ends([[null, '1', '']], { id: id + 1 })`],
    ['more ends than calls', `ends([[null, '1', ''], [null, '1', ''], [null, '1', '']])`],
    ['no ends', 'ends([])'],
    ['a value over the limit', `ends([[null, 'x'.repeat(${LIMITS.UNIT_RESULT_MAX_BYTES + 1}), '']])`],
    ['a log over the limit', `ends([[null, '1', 'x'.repeat(${LIMITS.UNIT_LOG_MAX_CHARS + 1})]])`],
    ['other fields', `ends([[null, '1', '']], { extra: 1 })`],
    ['other types', `ends([[1, 2, 3]])`],
    ['files of a task that leaves none', `say(JSON.stringify({ token, id, part: 'AAAA' }))`],
    ['no JSON', `say('{')`],
    ['an empty frame', `say('')`],
    ['a huge frame', 'put(head(0xffffffff))'],
    ['a frame just over the limit', `put(head(${LIMITS.SANDBOX_REPLY_MAX_BYTES - 3}))`],
    ['an endless flood', `for (;;) say(JSON.stringify({ token: 'guess', pad: 'x'.repeat(1e6) }))`],
    ['bytes without frames', 'for (;;) put(new Uint8Array(65536).fill(255))'],
  ])('refuses %s', async (_, say) => {
    const harness = await lab.file(`${SPEAK}${say}; fill(new Uint8Array(1))`)
    expect((await lab.attack('', { harness }, [0])).map(endOf)).toEqual(['E_PROTOCOL'])
  })

  test.each([
    ['names that lead out', `leave('../out', 'x'); gives('{}')`, 'E_TREE: "../out" is not a plain relative path'],
    ['names that are links', `leave('out', '', '2'); gives('{}')`, 'E_TREE: "out" is a link'],
    ['files twice', `leave('out', 'x'); leave('out', 'x'); gives('{}')`, 'E_PROTOCOL'],
    ['parts without an end', `part('\\n'); gives('{}')`, 'E_PROTOCOL'],
    ['many small parts', `part('\\n'); part('x'); part(''); gives('{}')`, 'E_PROTOCOL'],
    ['no parts', `part(''); gives('{}')`, 'E_PROTOCOL'],
    ['what is no archive', `part('\\n' + 'x'.repeat(1024)); part(''); gives('{}')`, 'E_UNIT_CRASHED'],
    ['a value without a place for files', `leave('out', 'x'); gives('[]')`, 'E_PROTOCOL'],
    ['a value that is none', `leave('out', 'x'); gives('{')`, 'E_PROTOCOL'],
  ])('does not keep %s', async (_, attack, refusal) => {
    const folder = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
    const kept = new UnitFiles({ trees: new TreeStore({ folder, budgetBytes: 2 ** 30 }) })
    const harness = await lab.file(`${SPEAK}${LEAVE}${attack}; fill(new Uint8Array(1))`)
    const keepFiles: SandboxInit['keepFiles'] = (...given) => kept.keep(...given)
    const base64 = wasmOf(wasi('')).toString('base64')
    const source = encodeWasiProgram({ v: 1, base64, args: [], env: {}, stdin: null, inputs: null, outputs: ['out'] })
    const [end] = await lab.attack(source, { harness, kind: 'wasi', keepFiles }, [{}])
    expect(end?.ok === false && `${end.code}: ${end.message}`).toContain(refusal)
    await rm(folder, { recursive: true, force: true })
  })

  test('a flood of frames is not kept', async () => {
    const flood = `const pad = 'x'.repeat(${LIMITS.UNIT_RESULT_MAX_BYTES}); for (;;) ends([[null, pad, '']])`
    const harness = await lab.file(SPEAK + flood)
    const before = process.memoryUsage().rss
    const ends = (await lab.attack('', { harness }, [0, 1])).length
    expect(ends).toBe(2)
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6)
  })

  test('half a frame, then silence, ends at the deadline', async () => {
    const harness = await lab.file(`${SPEAK}put(head(100)); for (;;);`)
    expect((await lab.attack('', { harness, timeoutMs: 200 })).map(endOf)).toEqual(['E_TIMEOUT'])
  })

  test.each([
    ['leaves', 'Deno.exit(0)', 'E_UNIT_CRASHED'],
    ['throws', 'throw 1', 'E_UNIT_CRASHED'],
  ])('a process that %s is replaced', async (_, how, end) => {
    const harness = await lab.file(SPEAK + how)
    expect((await lab.attack('', { harness }, [0, 1])).map(endOf)).toEqual([end, end])
  })

  test('stderr has a bound', async () => {
    const harness = await lab.file(
      `${SPEAK}const b = new Uint8Array(1 << 20); for (let i = 0; i < 64; i++) Deno.stderr.writeSync(b); ends([[null, '1', '']])`,
    )
    expect((await lab.attack('', { harness })).map(endOf)).toEqual(['E_UNIT_CRASHED'])
    const alter: Alter = (plan) => ({ ...plan, prlimit: plan.prlimit.filter((word) => !word.startsWith('--fsize')) })
    expect((await lab.attack('', { harness, alter })).map(endOf)).toEqual([1])
  })
})

describe('memory outside the heap', () => {
  const BUFFERS =
    'module.exports = () => { const kept = []; for (let i = 0; i < 60; i++) kept.push(new Uint8Array(1e7).fill(1)); return kept.length }'
  const WASM =
    'module.exports = () => { const m = new Uint8Array(new WebAssembly.Memory({ initial: 10000 }).buffer); for (let i = 0; i < m.length; i += 4096) m[i] = 1; return 60 }'
  const SHARED = WASM.replace('initial: 10000', 'initial: 10000, maximum: 10000, shared: true')
  const noData: Alter = (plan) => ({ ...plan, prlimit: plan.prlimit.filter((word) => !word.startsWith('--data')) })

  test.each([
    ['array buffers', BUFFERS],
    ['WebAssembly', WASM],
    ['shared WebAssembly', SHARED],
  ])('%s are bounded, and only by prlimit', async (_, source) => {
    for (const here of [lab, bare]) {
      expect((await here.attack(source)).map(endOf)).toEqual(['E_MEMORY'])
      expect((await here.attack(source, { alter: noData })).map(endOf)).toEqual([60])
    }
  })
})

describe('the permissions of Deno', () => {
  const TRY = `const tries = {
    read: () => Deno.readTextFileSync('/etc/hostname'),
    ownRoot: () => Deno.readDirSync('/').next(),
    environ: () => Deno.readTextFileSync('/proc/self/environ'),
    write: () => Deno.writeTextFileSync('/tmp/talkoot-escaped', ''),
    env: () => Deno.env.toObject(),
    run: () => new Deno.Command('/deno').outputSync(),
    library: () => Deno.dlopen('/lib/x86_64-linux-gnu/libc.so.6', { getpid: { parameters: [], result: 'i32' } }),
    listen: () => Deno.listen({ port: 0 }),
    connect: () => Deno.connect({ port: 9 }),
    fetch: () => fetch('http://127.0.0.1:9/'),
    resolve: () => Deno.resolveDns('example.org', 'A'),
    kill: () => Deno.kill(2, 'SIGTERM'),
    system: () => Deno.hostname(),
    storage: () => { localStorage.setItem('a', 'b') },
    caches: () => caches.open('a'),
    npm: () => import('npm:left-pad@' + '1.3.0'),
    jsr: () => import('jsr:@std/' + 'fs'),
    https: () => import('https://example.org/' + 'x.js'),
    file: () => import('file:///etc/' + 'passwd'),
    fileJson: () => import('file:///etc/' + 'passwd', { with: { type: 'json' } }),
    nodeFs: () => import('node:' + 'fs'),
    nodeBare: () => import('child_' + 'process'),
  }
  const open = []
  for (const [name, attempt] of Object.entries(tries)) try { await attempt(); open.push(name) } catch {}
  console.log(JSON.stringify(open)); Deno.exit(0)`

  test('nothing is open, in bubblewrap or not', async () => {
    expect(JSON.parse(await lab.intrude(TRY))).toEqual([])
    expect(JSON.parse(await bare.intrude(TRY))).toEqual([])
  })

  const withoutImportMap: Alter = (plan) => ({
    ...plan,
    deno: plan.deno.filter((word) => !word.startsWith('--import-map')),
  })
  const withCache: Alter = (plan) => ({
    ...plan,
    env: { ...plan.env, DENO_DIR: join(bare.prepared.folder, 'cache') },
    user: undefined,
  })
  const withRead: Alter = (plan) => ({
    ...plan,
    deno: [...plan.deno.slice(0, 2), '--allow-read', ...plan.deno.slice(2)],
  })

  test.each([
    ['without the import map, node: modules load', withoutImportMap, ['nodeFs']],
    ['with a usable DENO_DIR, units can store', withCache, ['storage', 'caches']],
    ['with a permission, it is there', withRead, ['read', 'ownRoot']],
  ])('%s', async (_, alter, expected) => {
    expect(JSON.parse(await bare.intrude(TRY, alter))).toEqual(expected)
  })

  test('files that a job brings can be read, and nothing else', async () => {
    for (const each of [lab, bare]) {
      const inputs = await mkdtemp(join(each.prepared.folder, 'of, a job-'))
      await chmod(inputs, 0o755)
      await writeFile(join(inputs, 'file'), 'given', { mode: 0o644 })
      await symlink('/proc/self/environ', join(inputs, 'link'))
      const folder = seenFolder(each.prepared.facts, inputs)
      const look = `const say = (does) => { try { return does() ?? 'done' } catch { return 'refused' } }
        const paths = ['${folder}/file', '${folder}/link', '${folder}/../imports.json', '/imports.json', '/proc/self/environ', '/etc/passwd']
        const said = paths.map((path) => say(() => Deno.readTextFileSync(path)))
        said.push(say(() => Deno.writeTextFileSync('${folder}/file', '')), say(() => Deno.removeSync('${folder}/file')))
        console.log(JSON.stringify(said)); Deno.exit(0)`
      expect(JSON.parse(await each.intrude(look, undefined, { inputs }))).toEqual([
        'given',
        ...Array(7).fill('refused'),
      ])
      expect(JSON.parse(await each.intrude(TRY, undefined, { inputs }))).toEqual([])
    }
  })

  test('a unit that were a file could read files: units never are', async () => {
    const secret = join(bare.prepared.folder, 'secret.json')
    await writeFile(secret, '{"secret":1}', { mode: 0o644 })
    const steal = `import secret from '${secret}' with { type: 'json' }; console.log(JSON.stringify(secret))`
    expect(await bare.intrude(steal)).toBe('{"secret":1}')
    expect((await bare.attack(steal)).map(endOf)).toEqual(['E_SOURCE'])
  })

  test('with all permissions and no bubblewrap, the network is open', async () => {
    const server = createServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const connect = `try { await Deno.connect({ port: ${port} }); console.log('open') } catch { console.log('shut') } Deno.exit(0)`
    expect(await bare.intrude(connect)).toBe('shut')
    expect(await bare.intrude(connect, allowAll)).toBe('open')
    server.close()
  })
})
