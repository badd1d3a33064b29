/** Functions of WebAssembly modules as units: what goes in and comes out, and what is refused. */

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { createWasmRuntime } from '../../node/runtimes/wasm/runtime.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { decodeModuleTask, encodeModuleTask, type ModuleTask } from '../../protocol/wasm/module-task.ts'
import type { Attempt } from '../../protocol/work.ts'
import { attemptsOf, collect, DEADLINE_MS } from './attempts.ts'
import { wasmOf } from './wat.ts'

let scratchDir: string
let runtime: Runtime
beforeAll(() => {
  scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-wasm-'))
  runtime = createWasmRuntime({ scratchDir })
})
afterAll(async () => {
  await runtime.stop()
  await rm(scratchDir, { recursive: true, force: true })
})

type How = Partial<Omit<ModuleTask, 'v' | 'base64'>>

const sourceOf = (text: string, how: How): string =>
  encodeModuleTask({
    v: 1,
    base64: wasmOf(text).toString('base64'),
    export: 'unit',
    takes: [],
    gives: 'numbers',
    ...how,
  })

async function run(text: string, how: How, points: unknown[], memoryMiB = 64): Promise<unknown[]> {
  const sandbox = runtime.open({ source: sourceOf(text, how), seed: 7, cpus: 1, memoryMiB, timeoutMs: 60_000 })
  const attempts = await collect(sandbox, points)
  await sandbox.close()
  return attempts.map(endOf)
}

const endOf = (attempt: Attempt): unknown =>
  attempt.ok ? JSON.parse(attempt.value) : `${attempt.code} ${attempt.message}`

/** Gives back the bytes it was handed. `alloc` leaves the first page alone. */
const ECHO = `(module (memory (export "memory") 2)
  (func (export "alloc") (param i32) (result i32) (i32.const 65536))
  (func (export "unit") (param $at i32) (param $length i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $length)))))`

describe('numbers', () => {
  it('go in by name, in the order that is declared, and come out as they are typed', async () => {
    const text = `(module (func (export "f") (param f64 i32 i64 f32) (result f64 i32 i64 f32)
      local.get 0 local.get 1 local.get 2 local.get 3))`
    const how: How = { export: 'f', takes: ['x', 'n', 'big', 'y'] }
    const points = [
      { y: 0.1, big: 2 ** 53 - 1, n: -1, x: 0.1, other: 'not asked for' },
      { y: 1e39, big: -(2 ** 53) + 1, n: 2 ** 32 - 1, x: -0, other: null },
    ]
    const [first, second] = await run(text, how, points)
    expect(first).toEqual([0.1, -1, 2 ** 53 - 1, Math.fround(0.1)])
    expect(second).toBe('E_RESULT_TYPE value[3] is Infinity: JSON has no such number; give null or a text in its place')
  })

  it('are one, or a list of as many as the function gives', async () => {
    expect(await run('(module (func (export "unit")))', {}, [{}])).toEqual([[]])
    const five = '(module (func (export "unit") (result i64) (i64.const -5)))'
    expect(await run(five, {}, [{}])).toEqual([[-5]])
    expect(await run(five, { gives: 'number' }, [{}])).toEqual([-5])
  })

  it.each([
    ['i32', 0.5],
    ['i32', 2 ** 32],
    ['i64', 2 ** 53],
    ['f64', '1'],
    ['f64', null],
    ['f64', [1]],
    ['f32', undefined],
  ])('that do not fit fail the unit: a parameter of type %s is not %j', async (type, x) => {
    const text = `(module (func (export "unit") (param ${type})))`
    expect(await run(text, { takes: ['x'] }, [{ x }])).toEqual([expect.stringMatching(/^E_INPUT x is .*of type/)])
  })

  it('that JSON has no words for are refused', async () => {
    const of = (type: string, value: string) =>
      `(module (func (export "unit") (result ${type}) (${type}.const ${value})))`
    expect(await run(of('f64', 'nan'), { gives: 'number' }, [{}])).toEqual([
      'E_RESULT_TYPE value is NaN: JSON has no such number; give null or a text in its place',
    ])
    expect(await run(of('i64', '9007199254740993'), {}, [{}])).toEqual([expect.stringContaining('beyond 2^53')])
  })
})

describe('memory', () => {
  it('holds the point as JSON, and what is given: JSON, floats, bytes', async () => {
    const points = [{ x: 1.5, name: 'ä', deep: [{ y: null }] }, {}]
    expect(await run(ECHO, { takes: 'json', gives: 'json' }, points)).toEqual(points)
    const bytes = points.map((point) => Buffer.from(JSON.stringify(point)).toString('base64'))
    expect(await run(ECHO, { takes: 'json', gives: 'bytes' }, points)).toEqual(bytes)
    const floats = `(module (memory (export "memory") 1)
      (func (export "unit") (param $x f64) (result i64)
        (f64.store (i32.const 8) (local.get $x)) (f64.store (i32.const 16) (f64.neg (local.get $x)))
        (i64.const 0x800000003)))`
    expect(await run(floats, { takes: ['x'], gives: 'floats' }, [{ x: 0.1 }])).toEqual([[0.1, -0.1, 0]])
  })

  it('outside of which a result lies, or that is no JSON, fails the unit', async () => {
    const at = (place: number, length: number) =>
      `(module (memory (export "memory") 1) (func (export "unit") (result i64) (i64.const ${BigInt(place) * 2n ** 32n + BigInt(length)})))`
    expect(await run(at(65_535, 2), { gives: 'json' }, [{}])).toEqual([expect.stringMatching(/^E_RESULT_TYPE 2 bytes/)])
    expect(await run(at(2 ** 32 - 1, 8), { gives: 'floats' }, [{}])).toEqual([expect.stringMatching(/^E_RESULT_TYPE/)])
    expect(await run(at(0, 4), { gives: 'json' }, [{}])).toEqual([expect.stringContaining('what is not JSON')])
    const long = LIMITS.UNIT_RESULT_MAX_BYTES + 1
    expect(await run(at(0, long), { gives: 'bytes' }, [{}])).toEqual([expect.stringMatching(/^E_RESULT_TOO_BIG/)])
    const nowhere = ECHO.replace('(i32.const 65536)', '(i32.const -4)')
    expect(await run(nowhere, { takes: 'json', gives: 'json' }, [{}])).toEqual([expect.stringContaining('do not lie')])
  })

  it('and globals are new in each unit', async () => {
    const text = `(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
      (func (export "unit") (result i32 i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (global.get $n) (i32.load (i32.const 0))))`
    expect(await run(text, {}, [{}, {}, {}])).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ])
  })

  it('is what the unit may use and no more: to grow beyond it fails', async () => {
    const text = `(module (memory (export "memory") 1)
      (func (export "unit") (param $pages i32) (result i32) (memory.grow (local.get $pages))))`
    const all = (32 * 2 ** 20) / 2 ** 16
    expect(await run(text, { takes: ['p'] }, [{ p: all - 1 }, { p: all }], 32)).toEqual([[1], [-1]])
    const large = `(module (memory (export "memory") ${all + 1}) (func (export "unit")))`
    expect(await run(large, {}, [{}], 32)).toEqual([expect.stringMatching(/^E_MEMORY/)])
  })

  it('of many units in a row is given back', async () => {
    const text = `(module (memory (export "memory") 500) (func (export "unit") (param $x i32) (result i32)
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 30000000)) (local.get $x)))`
    const points = Array.from({ length: 60 }, (_, x) => ({ x }))
    expect(await run(text, { takes: ['x'] }, points)).toEqual(points.map(({ x }) => [x]))
  })
})

it('may ask for the mathematics of the sandbox, random numbers, the unit and its seed', async () => {
  const text = `(module
    (import "Math" "sin" (func $sin (param f64) (result f64))) (import "Math" "PI" (global $pi f64))
    (import "talkoot" "unit" (func $unit (result i32))) (import "talkoot" "seed" (func $seed (result i32)))
    (import "talkoot" "random" (func $random (result f64)))
    (func (export "unit") (result f64 f64 i32 i32 f64)
      (call $sin (f64.const 1)) (global.get $pi) (call $unit) (call $seed) (call $random)))`
  const [first, second] = (await run(text, {}, [{}, {}])) as number[][]
  expect(first?.slice(0, 4)).toEqual([0.8414709848078965, Math.PI, 0, 7])
  expect(second?.slice(2, 4)).toEqual([1, 7])
  expect(second?.[4]).not.toBe(first?.[4])
})

describe('a state', () => {
  const MOST = LIMITS.WASM_CHECKPOINT_MAX_BYTES
  const IMPORTS = `(import "talkoot" "checkpoint" (func $save (param i32 i32)))
    (import "talkoot" "resumed" (func $resumed (param i32 i32) (result i32))) (memory (export "memory") 7)`

  async function saving(text: string, resumed?: string): Promise<{ end: unknown; saved: Buffer[] }> {
    const saved: Buffer[] = []
    const onCheckpoint = (_: number, state: Uint8Array): void =>
      void saved.push(Buffer.from(JSON.parse(String(state)), 'base64'))
    const init = { seed: 7, cpus: 1, memoryMiB: 64, timeoutMs: 60_000, onCheckpoint }
    const sandbox = runtime.open({ source: sourceOf(text, {}), ...init })
    const unit = { unit: 0, params: '{}', ...(resumed === undefined ? {} : { resumed: Buffer.from(resumed) }) }
    const [attempt] = await attemptsOf(sandbox.run([unit], AbortSignal.timeout(DEADLINE_MS)))
    await sandbox.close()
    return { end: attempt && endOf(attempt), saved }
  }

  it('is any bytes of its memory, so many', async () => {
    const save = (at: number, bytes: number): string =>
      `(module ${IMPORTS} (data (i32.const 8) "\\00\\ff state") (func (export "unit") (call $save (i32.const ${at}) (i32.const ${bytes}))))`
    expect(await saving(save(8, 8))).toEqual({ end: [], saved: [Buffer.from('\0\xff state', 'latin1')] })
    expect((await saving(save(1_024, MOST))).saved).toEqual([Buffer.alloc(MOST)])
    expect(await saving(save(0, MOST + 1))).toEqual({ end: expect.stringMatching(/^E_CHECKPOINT .*over/), saved: [] })
    expect(await saving(save(-4, 8))).toEqual({ end: expect.stringMatching(/^E_RESULT_TYPE .*do not lie/), saved: [] })
  })

  it('comes back as long as there is a place for it, and its whole length; none is of no length', async () => {
    const back = (room: number): string =>
      `(module ${IMPORTS} (func (export "unit") (result i32 i32 i32)
        (call $resumed (i32.const 8) (i32.const ${room})) (i32.load8_u (i32.const 9)) (i32.load8_u (i32.const 10))))`
    // a, b and c.
    expect((await saving(back(2), '"YWJj"')).end).toEqual([3, 98, 0])
    expect((await saving(back(8), '"YWJj"')).end).toEqual([3, 98, 99])
    expect((await saving(back(0), '"YWJj"')).end).toEqual([3, 0, 0])
    for (const none of [undefined, '""', '"no base64!"', '[1]', 'YWJj'])
      expect((await saving(back(8), none)).end).toEqual([0, 0, 0])
    const outside = back(8).replace('(i32.const 8)', '(i32.const -2)')
    expect((await saving(outside, '"YWJj"')).end).toMatch(/^E_RESULT_TYPE .*do not lie/)
  })
})

describe('a module is refused', () => {
  const empty = '(module)'
  const cases: [string, string, How, RegExp][] = [
    ['without the function', empty, {}, /no function unit/],
    ['of no single number', '(module (func (export "unit")))', { gives: 'number' }, /unit\(\) -> \(\), not one/],
    ['of other parameters', '(module (func (export "unit") (param f64)))', {}, /unit\(f64\) -> \(\), .* 0 parameters/],
    ['of other things than numbers', '(module (func (export "unit") (param externref)))', { takes: ['x'] }, /numbers/],
    ['that imports what is not there', '(module (import "env" "f" (func)) (func (export "unit")))', {}, /env\.f/],
    [
      'that has no memory for its result',
      '(module (func (export "unit") (result i64) (i64.const 0)))',
      { gives: 'json' },
      /no memory/,
    ],
    [
      'that gives no place',
      `(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) (i32.const 0))
        (func (export "unit") (param i32 i32)))`,
      { takes: 'json', gives: 'json' },
      /where \(i32, i32\) -> \(i64\)/,
    ],
    ['without alloc', ECHO.replace('"alloc"', '"other"'), { takes: 'json', gives: 'json' }, /no function alloc/],
  ]
  it.each(cases)('%s', async (_, text, how, says) => {
    expect(() => decodeModuleTask(sourceOf(text, how))).toThrow(says)
    const [end] = await run(text, how, [{}])
    expect(end).toMatch(/^E_SOURCE/)
    expect(end).toMatch(says)
  })

  it('that V8 does not compile, or whose imports have other types', async () => {
    const [magic] = await run('(module)', {}, [{}])
    expect(magic).toMatch(/^E_SOURCE/)
    const text = '(module (import "Math" "nothing" (func)) (func (export "unit")))'
    expect(await run(text, {}, [{}])).toEqual([expect.stringMatching(/^E_SOURCE/)])
  })

  it('that is cut off, at any byte', () => {
    const whole = wasmOf(ECHO)
    const cut = (bytes: number) => () => {
      const base64 = whole.subarray(0, bytes).toString('base64')
      return decodeModuleTask(encodeModuleTask({ v: 1, base64, export: 'unit', takes: 'json', gives: 'json' }))
    }
    // The code comes last, and is V8's affair.
    const needed = whole.indexOf('unit') + 'unit'.length + 2
    for (let bytes = 0; bytes < needed; bytes++)
      expect(cut(bytes)).toThrow(expect.objectContaining({ code: 'E_SOURCE' }))
    expect(cut(whole.length)).not.toThrow()
  })
})
