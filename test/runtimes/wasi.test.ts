/** WASI programs as units: what they find, what they leave, and that nothing of a machine reaches them. */

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Runtime, SandboxInit, UnitInput } from '../../node/runtimes/runtime.ts'
import { createWasiRuntime } from '../../node/runtimes/wasm/runtime.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { encodeWasiProgram, type WasiProgram } from '../../protocol/wasm/wasi-program.ts'
import type { Attempt } from '../../protocol/work.ts'
import { collect } from './attempts.ts'
import { laidSparse, layDown } from './laid.ts'
import { leftBy } from './left.ts'
import { wasmOf } from './wat.ts'

let scratchDir: string
let runtime: Runtime
beforeAll(() => {
  scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-wasi-'))
  runtime = createWasiRuntime({ scratchDir })
})
afterAll(async () => {
  await runtime.stop()
  await rm(scratchDir, { recursive: true, force: true })
})

/** Calls by name and type; all places in memory below 1,024 are for them. What is told is a file `told`. */
const CALLS = {
  args_sizes_get: 'i32 i32',
  args_get: 'i32 i32',
  environ_sizes_get: 'i32 i32',
  environ_get: 'i32 i32',
  clock_time_get: 'i32 i64 i32',
  fd_allocate: 'i32 i64 i64',
  fd_close: 'i32',
  fd_filestat_get: 'i32 i32',
  fd_read: 'i32 i32 i32 i32',
  fd_write: 'i32 i32 i32 i32',
  fd_seek: 'i32 i64 i32 i32',
  fd_sync: 'i32',
  path_open: 'i32 i32 i32 i32 i32 i64 i64 i32 i32',
  path_rename: 'i32 i32 i32 i32 i32 i32',
  path_unlink_file: 'i32 i32 i32',
  poll_oneoff: 'i32 i32 i32 i32',
  random_get: 'i32 i32',
  sock_shutdown: 'i32 i32',
}

const program = (body: string, more = ''): string => `(module
  ${Object.entries(CALLS)
    .map(([name, of]) => `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${of}) (result i32)))`)
    .join('\n')}
  (memory (export "memory") 20)
  ${more}
  ;; Opens the name at $at; gives the descriptor, or the error as a negative number.
  (func $open (param $at i32) (param $length i32) (param $flags i32) (param $rights i64) (result i32) (local $error i32)
    (local.set $error (call $path_open (i32.const 3) (i32.const 0) (local.get $at) (local.get $length)
      (local.get $flags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 16)))
    (if (result i32) (local.get $error) (then (i32.sub (i32.const 0) (local.get $error))) (else (i32.load (i32.const 16)))))
  (func $write (param $to i32) (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
    (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func $read (param $from i32) (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (data (i32.const 1000) "told")
  ;; Writes so many bytes at 1,024 to the file \`told\`.
  (func $tell (param $length i32)
    (drop (call $write (call $open (i32.const 1000) (i32.const 4) (i32.const 1) (i64.const 64)) (i32.const 1024) (local.get $length))))
  (func (export "_start") ${body}))`

const CREATED = '(i32.const 1)'
/** Or made. */
const CUT_OFF = '(i32.const 9)'
const TO_WRITE = '(i64.const 64)'
const TO_READ = '(i64.const 2)'
/** Ends the unit if the call gives an error. */
const fails = (call: string): string => `(if ${call} (then unreachable))`
const rename = (from: number, length: number, to: number, toLength: number): string =>
  `(call $path_rename (i32.const 3) (i32.const ${from}) (i32.const ${length}) (i32.const 3) (i32.const ${to}) (i32.const ${toLength}))`
/** Takes all room but for a little of a file of another name. */
const LARGE = `(call $fd_allocate (call $open (i32.const 1001) (i32.const 3) ${CREATED} ${TO_WRITE}) (i64.const 0) (i64.const 60000000))`

type How = Partial<Omit<WasiProgram, 'v' | 'base64'>>

const sourceOf = (text: string, how: How): string =>
  encodeWasiProgram({
    ...{ v: 1, base64: wasmOf(text).toString('base64') },
    ...{ args: [], env: {}, stdin: null, inputs: null, outputs: [], ...how },
  })

async function run(text: string, how: How = {}, points: unknown[] = [{}], seed = 7): Promise<unknown[]> {
  const sandbox = runtime.open({ source: sourceOf(text, how), seed, cpus: 1, memoryMiB: 256, timeoutMs: 60_000 })
  const attempts = await collect(sandbox, points)
  await sandbox.close()
  return attempts.map(endOf)
}

const endOf = (attempt: Attempt): unknown =>
  attempt.ok ? JSON.parse(attempt.value) : `${attempt.code} ${attempt.message}`

/** What programs told in their file. */
async function told(
  text: string,
  how: How = {},
  points: unknown[] = [{}],
  init: Partial<SandboxInit> = {},
): Promise<Buffer[]> {
  const left = await leftBy(runtime, sourceOf(text, { ...how, outputs: ['told'] }), { points, ...init })
  return left.map(({ files }) => files.told ?? Buffer.alloc(0))
}

/** Units, each with files of its own. */
const unitsWith = (files: Record<string, string>[]): Promise<UnitInput[]> =>
  Promise.all(
    files.map(async (own, unit) => {
      const [laid] = (await layDown(scratchDir, own)).trees.values()
      return { unit, params: '{"x":1}', ...(laid === undefined ? {} : { files: laid }) }
    }),
  )

describe('a program finds', () => {
  it('its arguments, with as many bytes as they have', async () => {
    // Their number and bytes, then the bytes themselves.
    const text = program(`
      (drop (call $args_sizes_get (i32.const 1024) (i32.const 1028)))
      (drop (call $args_get (i32.const 512) (i32.const 1032)))
      (call $tell (i32.add (i32.const 8) (i32.load (i32.const 1028))))`)
    const [found] = await told(text, { args: ['--x={x}', '{unit}', '{{}}', '{list}'] }, [{ x: 'ä€', list: [1, 'b'] }])
    expect([found?.readUInt32LE(0), found?.readUInt32LE(4)]).toEqual([5, (found?.length ?? 0) - 8])
    expect(found?.toString('utf8', 8)).toBe('program\0--x=ä€\x000\0{}\0[1,"b"]\0')
  })

  it('variables: parameters, the unit, its own, and nothing of the machine', async () => {
    const text = program(`
      (drop (call $environ_sizes_get (i32.const 512) (i32.const 516)))
      (drop (call $environ_get (i32.const 520) (i32.const 1024)))
      (call $tell (i32.load (i32.const 516)))`)
    const points = [{ x: 'ä', 'not a name': 1, list: [1] }]
    const [found] = await told(text, { env: { MINE: 'x is {x}', TZ: 'Mars' } }, points)
    expect(found?.toString().split('\0').filter(Boolean).sort()).toEqual(
      [
        ...['HOME=/', 'LANG=C.UTF-8', 'MINE=x is ä', 'PWD=/', 'TALKOOT_PARAM_list=[1]', 'TALKOOT_PARAM_x=ä'],
        ...['TALKOOT_CHECKPOINT=/tmp/talkoot-checkpoint', 'TALKOOT_UNIT=0', 'TMPDIR=/tmp', 'TZ=Mars'],
      ].sort(),
    )
  })

  it('standard input, to its end', async () => {
    const text = program('(call $tell (call $read (i32.const 0) (i32.const 1024) (i32.const 1000)))')
    expect((await told(text, { stdin: 'read {x}\n' }, [{ x: 1 }, { x: 'ä' }])).map(String)).toEqual([
      'read 1\n',
      'read ä\n',
    ])
    expect((await told(text))[0]?.length).toBe(0)
  })

  it('its files, the same in each unit, and cannot change them', async () => {
    const text = program(
      `(call $tell (call $read (call $open (i32.const 512) (i32.const 9) (i32.const 0) (i64.const 2)) (i32.const 1024) (i32.const 1000)))
      ;; To write, or cut to nothing: not permitted.
      (if (i32.ne (i32.const -63) (call $open (i32.const 512) (i32.const 9) (i32.const 0) (i64.const 64))) (then unreachable))
      (if (i32.ne (i32.const -63) (call $open (i32.const 512) (i32.const 9) (i32.const 8) (i64.const 2))) (then unreachable))
      ;; Nothing above its root: not capable.
      (if (i32.ne (i32.const -76) (call $open (i32.const 528) (i32.const 4) (i32.const 0) (i64.const 2))) (then unreachable))`,
      '(data (i32.const 512) "data/file") (data (i32.const 528) "../x")',
    )
    const { ref: inputs, trees } = await layDown(scratchDir, { 'data/file': 'whole' })
    expect((await told(text, { inputs }, [{}, {}], { trees })).map(String)).toEqual(['whole', 'whole'])
  })

  it('the files of its point beside those of all, and of no other', async () => {
    const read = (at: number, length: number): string =>
      `(call $read (call $open (i32.const ${at}) (i32.const ${length}) (i32.const 0) (i64.const 2)) (i32.const 1024) (i32.const 1000))`
    const text = program(
      `(drop ${read(512, 9)})
      ;; That of the other unit is not there.
      (if (i32.ne (i32.const -44) (call $open (i32.const 528) (i32.const 10) (i32.const 0) (i64.const 2)))
        (then (if (i32.ne (i32.const -44) (call $open (i32.const 544) (i32.const 10) (i32.const 0) (i64.const 2))) (then unreachable))))
      (call $tell ${read(560, 8)})`,
      '(data (i32.const 512) "data/file") (data (i32.const 528) "data/of-0.") (data (i32.const 544) "data/of-1.") (data (i32.const 560) "data/own")',
    )
    const { ref: inputs, trees } = await layDown(scratchDir, { 'data/file': 'whole' })
    const units = await unitsWith(
      ['first', 'second'].map((word, at) => ({ 'data/own': word, [`data/of-${at}.`]: word })),
    )
    const source = sourceOf(text, { inputs, pointInputs: { tree: inputs, names: ['{x}'] }, outputs: ['.'] })
    const left = await leftBy(runtime, source, { units, trees })
    expect(left.map(({ files }) => ({ ...files, told: String(files.told) }))).toEqual([
      { told: 'first' },
      { told: 'second' },
    ])
  })

  it('files of its point that have no place fail the unit, and no other', async () => {
    const text = program('(call $tell (i32.const 0))')
    const sized = laidSparse(scratchDir, { x: 0 }, '', [{ path: 'y', to: 'x' }])
    const [linked] = sized.trees.values()
    const [own] = await unitsWith([{ x: '1' }])
    const units = [0, 1, 2].map((unit) => ({ unit, params: '{}', files: unit === 1 ? linked : own?.files }))
    const source = sourceOf(text, { pointInputs: { tree: sized.ref, names: ['{x}'] }, outputs: ['told'] })
    const left = await leftBy(runtime, source, { units: units as UnitInput[] })
    expect(left.map(({ attempt }) => [attempt.unit, attempt.ok || attempt.code])).toEqual([
      [0, true],
      [1, 'E_TREE'],
      [2, true],
    ])
  })

  it('a file of many times the memory there is, from any place', async () => {
    const text = program(
      `(local $file i32)
      (local.set $file (call $open (i32.const 512) (i32.const 5) (i32.const 0) (i64.const 2)))
      (drop (call $fd_seek (local.get $file) (i64.const 3000000000) (i32.const 0) (i32.const 8)))
      (if (i32.ne (i32.const 1048576) (call $read (local.get $file) (i32.const 4096) (i32.const 1300000))) (then unreachable))
      (drop (call $fd_seek (local.get $file) (i64.const -7) (i32.const 2) (i32.const 8)))
      (call $tell (call $read (local.get $file) (i32.const 1024) (i32.const 1000)))`,
      '(data (i32.const 512) "large")',
    )
    const { ref: inputs, trees } = laidSparse(scratchDir, { large: 4 * 2 ** 30 }, 'the end')
    expect((await told(text, { inputs }, [{}, {}], { trees })).map(String)).toEqual(['the end', 'the end'])
  })

  it('random bytes that depend on the seed and the unit alone', async () => {
    const text = program('(drop (call $random_get (i32.const 1024) (i32.const 32))) (call $tell (i32.const 32))')
    const [first, second] = await told(text, {}, [{}, {}])
    expect(await told(text, {}, [{}, {}])).toEqual([first, second])
    expect(new Set(first).size).toBeGreaterThan(10)
    expect(second).not.toEqual(first)
    expect((await told(text, {}, [{}], { seed: 8 }))[0]).not.toEqual(first)
  })

  it('clocks of its own, which sleeping moves on, and the same numbers of inodes', async () => {
    const look = (at: number) => `(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const ${at})))`
    const text = program(`
      ${look(1_024)} ${look(1_032)}
      ;; A subscription to the monotonic clock: in an hour.
      (i32.store (i32.const 528) (i32.const 1)) (i64.store (i32.const 536) (i64.const 3600000000000))
      (drop (call $poll_oneoff (i32.const 512) (i32.const 600) (i32.const 1) (i32.const 1048)))
      ${look(1_040)}
      (drop (call $fd_filestat_get (i32.const 0) (i32.const 1056)))
      (call $tell (i32.const 72))`)
    const tellings = await told(text, {}, [{}, {}, {}])
    expect(tellings[0]).toEqual(tellings[1])
    expect(tellings[0]).toEqual(tellings[2])
    const times = [0, 8, 16].map((at) => Number(tellings[0]?.readBigUInt64LE(at)))
    expect(times).toEqual([1_000, 2_000, 3_600_000_003_000])
    expect(tellings[0]?.readUInt32LE(24)).toBe(1)
  })

  it('no sockets', async () => {
    const text = program(
      '(if (i32.ne (i32.const 58) (call $sock_shutdown (i32.const 4) (i32.const 0))) (then unreachable))',
    )
    expect(await run(text)).toEqual([{ stdout: '' }])
  })
})

describe('a program leaves', () => {
  it('no more than so many bytes, by whatever way: then its disk is full', async () => {
    // One MiB at a time until that fails: how often it did not; then the error of a byte far away.
    const text = program(`(local $file i32) (local $error i32)
      (local.set $file (call $open (i32.const 1000) (i32.const 4) (i32.const 1) (i64.const 64)))
      (loop $more
        (local.set $error (call $write (local.get $file) (i32.const 2048) (i32.const 1048576)))
        (if (i32.eqz (local.get $error)) (then
          (i32.store8 (i32.const 1024) (i32.add (i32.load8_u (i32.const 1024)) (i32.const 1))) (br $more))))
      (i32.store8 (i32.const 1025) (local.get $error))
      (local.set $file (call $open (i32.const 1001) (i32.const 3) (i32.const 1) (i64.const 64)))
      (drop (call $fd_seek (local.get $file) (i64.const 0x7fffffffffffffff) (i32.const 0) (i32.const 8)))
      (i32.store8 (i32.const 1026) (call $write (local.get $file) (i32.const 2048) (i32.const 1)))
      (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 3)))`)
    const noSpace = String.fromCharCode(51)
    const times = String.fromCharCode(LIMITS.WASI_WRITTEN_MAX_BYTES / 2 ** 20)
    expect(await run(text)).toEqual([{ stdout: times + noSpace + noSpace }])
  })

  it('room again, when a file is cut off, replaced, or removed and closed', async () => {
    const text = program(
      `(local $round i32) (local $file i32)
      (loop $again
        (local.set $file (call $open (i32.const 512) (i32.const 3) ${CUT_OFF} ${TO_WRITE}))
        ${fails('(call $write (local.get $file) (i32.const 2048) (i32.const 1048576))')}
        (drop (call $fd_close (local.get $file)))
        (if (i32.and (local.get $round) (i32.const 1)) (then ${fails(rename(512, 3, 1000, 4))}))
        (local.set $round (i32.add (local.get $round) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $round) (i32.const 200))))
      ;; What is removed and still open takes room.
      (local.set $file (call $open (i32.const 512) (i32.const 3) ${CUT_OFF} ${TO_WRITE}))
      ${fails('(call $fd_allocate (local.get $file) (i64.const 0) (i64.const 63000000))')}
      ${fails('(call $path_unlink_file (i32.const 3) (i32.const 512) (i32.const 3))')}
      (if (i32.ne (i32.const 51) ${LARGE}) (then unreachable))
      (drop (call $fd_close (local.get $file)))
      ${fails(LARGE)}`,
      '(data (i32.const 512) "new")',
    )
    expect(await run(text)).toEqual([{ stdout: '' }])
  })

  it('what it wrote to stderr in its failure, and its last words when it traps', async () => {
    const words = '(drop (call $write (i32.const 2) (i32.const 512) (i32.const 7))) unreachable'
    const [end] = await run(program(words, '(data (i32.const 512) "my end\\n")'))
    expect(end).toBe('E_TASK_THREW unreachable\nmy end')
  })
})

describe('a state', () => {
  const NAMES =
    '(data (i32.const 512) "tmp/talkoot-checkpoint") (data (i32.const 544) "tmp/new") (data (i32.const 560) "onetwo")'
  const open = (at: number, flags: string): string =>
    `(local.set $file (call $open (i32.const ${at}) (i32.const ${at === 512 ? 22 : 7}) ${flags} ${TO_WRITE}))`
  const write = (at: number, bytes: number): string =>
    fails(`(call $write (local.get $file) (i32.const ${at}) (i32.const ${bytes}))`)
  const CLOSE = fails('(call $fd_close (local.get $file))')

  it('is what the file holds when it is closed or synced, or one gets its name; not an empty one, nor one too long', async () => {
    const text = program(
      `(local $file i32)
      ${open(512, CREATED)} ${write(560, 3)} ${fails('(call $fd_sync (local.get $file))')}
      ${write(563, 3)} ${CLOSE}
      ${open(512, CREATED)} ${CLOSE}
      ${open(544, CREATED)} ${write(563, 3)} ${CLOSE} ${fails(rename(544, 7, 512, 22))}
      ${open(512, CUT_OFF)} ${CLOSE}
      ${open(512, CUT_OFF)} ${write(2_048, LIMITS.WASM_CHECKPOINT_MAX_BYTES + 1)} ${CLOSE}
      ${open(512, CUT_OFF)} ${write(2_048, LIMITS.WASM_CHECKPOINT_MAX_BYTES)} ${CLOSE}`,
      NAMES,
    )
    const saved: Buffer[] = []
    const onCheckpoint = (_: number, state: Uint8Array): void =>
      void saved.push(Buffer.from(JSON.parse(String(state)), 'base64'))
    const init = { seed: 7, cpus: 1, memoryMiB: 64, timeoutMs: 60_000, onCheckpoint }
    const sandbox = runtime.open({ source: sourceOf(text, {}), ...init })
    expect((await collect(sandbox, [{}])).map(endOf)).toEqual([{ stdout: '' }])
    await sandbox.close()
    expect(saved.slice(0, -1).map(String)).toEqual(['one', 'onetwo', 'two'])
    expect(saved.at(-1)).toEqual(Buffer.alloc(LIMITS.WASM_CHECKPOINT_MAX_BYTES))
  })

  it('is the file that a unit finds which goes on; one of another kind is none, and it is not left', async () => {
    const text = program(
      `(call $tell (call $read (call $open (i32.const 512) (i32.const 22) (i32.const 0) ${TO_READ}) (i32.const 1024) (i32.const 1000)))`,
      NAMES,
    )
    const states = ['"aGFsZg=="', '"half"', '{"a":1}', '""', '"no base64!"', 'half']
    const units = [...states.map((state) => Buffer.from(state)), undefined].map((resumed, unit) => ({
      unit,
      params: '{}',
      ...(resumed === undefined ? {} : { resumed }),
    }))
    const source = sourceOf(text, { outputs: ['told'] })
    const left = await leftBy(runtime, source, { units })
    expect(left.map(({ files }) => Buffer.from(files.told ?? '?').toString('latin1'))).toEqual([
      ...['half', '\x85\xa9\x5f', '', '', '', '', ''],
    ])
    expect(left.map(({ files }) => Object.keys(files))).toEqual(units.map(() => ['told']))
  })
})

it.each([
  [
    'that imports what is not WASI',
    '(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start")))',
    /env\.f/,
  ],
  ['without a beginning', '(module (memory (export "memory") 1))', /no _start/],
  ['without memory', '(module (func (export "_start")))', /no memory/],
])('a module %s is refused', async (_, text, says) => {
  const [end] = await run(text)
  expect(end).toMatch(/^E_SOURCE/)
  expect(end).toMatch(says)
})
