/** What a js task may give, what it is given, and what becomes of it: under both confinements. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createJsRuntime } from '../../node/runtimes/js/runtime.ts'
import type { Confinement, Runtime, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { attemptsOf, codeOf, collect, DEADLINE_MS, numbered, ok } from './attempts.ts'

const confinements: Confinement[] = ['os', 'runtime']

let scratchDir: string
beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
})
afterAll(() => rm(scratchDir, { recursive: true }))

describe.each(confinements)('js, confinement %s', (confinement) => {
  const logs: [number, string][] = []
  let runtime: Runtime
  beforeAll(() => {
    runtime = createJsRuntime({ scratchDir, confinement })
  })
  afterAll(() => runtime.stop())

  const open = (run: string, init: Partial<SandboxInit> = {}): Sandbox =>
    runtime.open({
      source: `module.exports.default = ${run}`,
      seed: 7,
      cpus: 1,
      memoryMiB: 64,
      timeoutMs: 20_000,
      onReport: ({ unit, stderr }) => logs.push([unit, stderr]),
      ...init,
    })
  const runAll = async (run: string, params: unknown[], init: Partial<SandboxInit> = {}): Promise<Attempt[]> => {
    const sandbox = open(run, init)
    try {
      return await collect(sandbox, params)
    } finally {
      await sandbox.close()
    }
  }

  test('run - one attempt for each unit, in order, over frames', async () => {
    const count = LIMITS.FRAME_UNITS_MAX * 2 + 3
    const attempts = await runAll('({ x }) => x + 1', numbered(count))
    expect(attempts).toEqual(numbered(count).map(({ x }) => ({ unit: x, ok: true, value: String(x + 1) })))
  })

  test('run - values come back as canonical JSON', async () => {
    const run = `() => ({ b: [1e21, -0, 1/3, 'é\\n'], a: null, 10: true, 9: new Float32Array([1.5, -2]), Z: {} })`
    expect(await runAll(run, [0])).toEqual([
      ok(0, '{"10":true,"9":[1.5,-2],"Z":{},"a":null,"b":[1e+21,0,0.3333333333333333,"é\\n"]}'),
    ])
  })

  test.each([
    ['undefined', 'value is undefined: JSON has no such value; give null in its place'],
    ['{ a: [1, 2, 3, NaN] }', 'value.a[3] is NaN: JSON has no such number; give null or a text in its place'],
    ['[-Infinity]', 'value[0] is -Infinity: JSON has no such number; give null or a text in its place'],
    ['{ f: () => 1 }', 'value.f is a function'],
    ['{ "a b": Symbol("x") }', 'value["a b"] is a symbol'],
    ['[10n]', 'value[0] is a bigint'],
    ['new BigInt64Array(1)', 'value is a BigInt64Array'],
    ['new DataView(new ArrayBuffer(8))', 'value is a DataView'],
    ['new Float64Array([1, NaN])', 'value[1] is NaN: JSON has no such number; give null or a text in its place'],
    ['[, 1]', 'value[0] is undefined: JSON has no such value; give null in its place'],
    ['{ when: new Date() }', 'value.when is an instance of Date'],
    ['new (class Point { x = 1 })()', 'value is an instance of Point'],
    ['new Map([[1, 2]])', 'value is an instance of Map'],
    ['"\\ud800"', 'value is a string with half a surrogate pair'],
    ['(() => { const loop = {}; loop.me = loop; return loop })()', 'holds itself'],
  ])('run - refuses the value %s', async (value, message) => {
    const [attempt] = await runAll(`() => (${value})`, [0])
    expect(attempt).toMatchObject({ ok: false, code: 'E_RESULT_TYPE', blame: 'program' })
    expect(attempt?.ok === false && attempt.message).toContain(message)
  })

  test('run - depth and size have bounds', async () => {
    const nest = '({ depth }) => { let v = 1; for (let i = 0; i < depth; i++) v = [v]; return v }'
    const deep = await runAll(nest, [
      { depth: LIMITS.UNIT_VALUE_DEPTH_MAX },
      { depth: LIMITS.UNIT_VALUE_DEPTH_MAX + 1 },
    ])
    expect(deep.map(codeOf)).toEqual(['ok', 'E_RESULT_TYPE'])
    const quotes = LIMITS.UNIT_RESULT_MAX_BYTES - 2
    const long = await runAll('({ n, c }) => c.repeat(n)', [
      { n: quotes, c: 'a' },
      { n: quotes + 1, c: 'a' },
      { n: quotes / 2, c: 'é' },
      { n: quotes / 2 + 1, c: 'é' },
      { n: quotes / 2, c: '"' },
      { n: 1e8, c: 'a' },
    ])
    expect(long.map(codeOf)).toEqual(['ok', 'E_RESULT_TOO_BIG', 'ok', 'E_RESULT_TOO_BIG', 'ok', 'E_RESULT_TOO_BIG'])
  })

  test('run - each failure has its code and blame, and spares its neighbours', async () => {
    const run = `(how) => {
      if (how === 'threw') throw new Error('boo')
      if (how === 'input') throw Object.assign(new Error('n is missing'), { code: 'E_INPUT' })
      if (how === 'loops') for (;;);
      if (how === 'loops later') return Promise.resolve().then(() => { for (;;); })
      if (how === 'never') return new Promise(() => {})
      if (how === 'heap') { const kept = []; for (;;) kept.push(new Array(100000).fill(1.5)) }
      if (how === 'buffers') { const kept = []; for (;;) kept.push(new Uint8Array(1e7).fill(1)) }
      if (how === 'imports') return import('data:text/javascript,')
      if (how === 'requires') require('fs')
      return how
    }`
    const late = { loops: ['E_TIMEOUT', 'time'], 'loops later': ['E_TIMEOUT', 'time'] }
    const failed = {
      threw: ['E_TASK_THREW', 'program'],
      input: ['E_INPUT', 'program'],
      never: ['E_NEVER_SETTLED', 'program'],
      heap: ['E_MEMORY', 'memory'],
      buffers: ['E_MEMORY', 'memory'],
      imports: ['E_IMPORT', 'program'],
      requires: ['E_IMPORT', 'program'],
    }
    const endsOf = async (of: Record<string, string[]>, timeoutMs: number) => {
      const hows = Object.keys(of).flatMap((how) => ['fine', how])
      const attempts = await runAll(run, [...hows, 'fine'], { timeoutMs })
      const seen = attempts.toSorted((a, b) => a.unit - b.unit).map((a) => (a.ok ? 'fine' : [a.code, a.blame]))
      expect(seen).toEqual([...Object.values(of).flatMap((end) => ['fine', end]), 'fine'])
      return attempts
    }
    await endsOf(late, 2_500)
    // Memory takes its time to be full.
    const attempts = await endsOf(failed, 60_000)
    expect(attempts.find((a) => codeOf(a) === 'E_TASK_THREW')).toMatchObject({ message: 'boo' })
  })

  test('run - a source that cannot be loaded fails every unit', async () => {
    const sources = ['module.exports = (', '}); (function () {', 'throw new Error("at load")', 'module.exports = 7']
    for (const source of sources) {
      const attempts = await runAll('', numbered(2), { source })
      expect(attempts.map(codeOf), source).toEqual(['E_SOURCE', 'E_SOURCE'])
    }
  })

  test('run - a message is bounded', async () => {
    const [attempt] = await runAll('() => { throw new Error("x".repeat(1e6)) }', [0])
    expect(attempt?.ok === false && attempt.message.length).toBe(LIMITS.UNIT_ERROR_MAX_CHARS)
  })

  test('run - a message that would have no canonical form is given one', async () => {
    const run = String.raw`(cut) => { throw new Error(cut ? 'a' + '😀'.repeat(5000) : '\ud800') }`
    const attempts = await runAll(run, [false, true])
    for (const attempt of attempts) expect(attempt).toMatchObject({ ok: false, code: 'E_TASK_THREW' })
    for (const attempt of attempts) expect(!attempt.ok && attempt.message.isWellFormed()).toBe(true)
  })

  test('run - random numbers depend on seed and unit alone', async () => {
    const run = '(_, { random }) => [Math.random(), random()]'
    const first = await runAll(run, numbered(300))
    const again = await runAll(run, numbered(300))
    const other = await runAll(run, numbered(300), { seed: 8 })
    expect(again).toEqual(first)
    expect(new Set([...first, ...other].map((a) => a.ok && a.value)).size).toBe(600)
    const sandbox = open(run)
    const alone = await attemptsOf(sandbox.run([{ unit: 299, params: '0' }], AbortSignal.timeout(DEADLINE_MS)))
    await sandbox.close()
    expect(alone).toEqual([first[299]])
  })

  test('run - no unit sees what another left in the module', async () => {
    const source =
      'let calls = 0; const seen = []; module.exports = (p) => { seen.push(p); return [++calls, seen.length] }'
    const attempts = await runAll('', numbered(3), { source })
    expect(attempts.map((a) => a.ok && a.value)).toEqual(['[1,1]', '[1,1]', '[1,1]'])
  })

  test('run - promises and objects with run work', async () => {
    const source = `exports.default = { async run({ x }, { unit, seed }) { await null; return [this.by * x, unit, seed] }, by: 3 }`
    expect(await runAll('', numbered(2), { source })).toEqual([ok(0, '[0,0,7]'), ok(1, '[3,1,7]')])
  })

  test('run - promises that wait for the engine settle', async () => {
    const run = `async ({ x }) => {
      Promise.reject(new Error('nobody looks'))
      const { exports } = (await WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))).instance
      return [x, typeof exports]
    }`
    expect(await runAll(run, numbered(3))).toEqual([0, 1, 2].map((x) => ok(x, `[${x},"object"]`)))
  })

  test('run - logs arrive, bounded', async () => {
    logs.length = 0
    await runAll(`({ x }, { log }) => { if (x) log('step', x, {}); else log('y'.repeat(1e6)) }`, numbered(2))
    expect(logs.map(([unit, text]) => [unit, text.length])).toEqual([
      [0, LIMITS.UNIT_LOG_MAX_CHARS],
      [1, 'step 1 [object Object]\n'.length],
    ])
  })

  test('agree - asks the task', async () => {
    const source =
      'exports.default = { run: () => 1, agree: (a, b) => { if (a === "boo") throw new Error("boo"); return a === "bad" ? 1 : Math.abs(a - b) < 0.1 } }'
    const sandbox = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 20_000 })
    const signal = AbortSignal.timeout(DEADLINE_MS)
    expect(await sandbox.agree('1', '1.05', signal)).toBe(true)
    expect(await sandbox.agree('1', '1.5', signal)).toBe(false)
    await expect(sandbox.agree('"boo"', '1', signal)).rejects.toMatchObject({ code: 'E_TASK_THREW' })
    await expect(sandbox.agree('"bad"', '1', signal)).rejects.toMatchObject({ code: 'E_RESULT_TYPE' })
    await sandbox.close()
  })

  test('agree - a task without it, or one that loops, fails with a code', async () => {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const without = open('() => 1')
    await expect(without.agree('1', '1', signal)).rejects.toMatchObject({ code: 'E_TASK_INVALID' })
    const source = 'exports.default = { run: () => 1, agree: () => { for (;;); } }'
    const loops = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 200 })
    await expect(loops.agree('1', '1', signal)).rejects.toMatchObject({ code: 'E_TIMEOUT' })
    await Promise.all([without.close(), loops.close()])
  })
})
