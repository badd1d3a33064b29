/** What every implementation of `Runtime` must do. Tasks are JavaScript bundles; a runtime of another kind brings its own. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Runtime, Sandbox, SandboxInit } from '../../node/runtimes/runtime.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'

export type RuntimeFactory = () => Runtime

const DEADLINE_MS = 30_000

export function describeRuntime(name: string, make: RuntimeFactory): void {
  describe(name, () => {
    const logs: [number, string][] = []
    let runtime: Runtime
    beforeAll(() => {
      runtime = make()
    })
    afterAll(() => runtime.stop())

    const open = (run: string, init: Partial<SandboxInit> = {}): Sandbox =>
      runtime.open({
        source: `module.exports.default = ${run}`,
        seed: 7,
        memoryMiB: 64,
        timeoutMs: 5_000,
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

    test('probe - tells what it proved', async () => {
      const probe = await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
      expect(probe.version).toMatch(/^\d+\.\d+\.\d+$/)
      expect(probe.uid).toBeGreaterThan(0)
    })

    test('warm - a process started before its units runs them as any other', async () => {
      const sandbox = open('({ x }) => x + 1')
      try {
        await sandbox.warm(AbortSignal.timeout(DEADLINE_MS))
        await sandbox.warm(AbortSignal.timeout(DEADLINE_MS))
        expect(await collect(sandbox, [{ x: 1 }, { x: 2 }])).toEqual([ok(0, '2'), ok(1, '3')])
      } finally {
        await sandbox.close()
      }
    })

    test('warm - ends when it is closed meanwhile', async () => {
      const sandbox = open('({ x }) => x + 1')
      const warming = sandbox.warm(AbortSignal.timeout(DEADLINE_MS)).catch(() => 'closed')
      await sandbox.close()
      expect(await warming).toBe('closed')
    })

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
      ['undefined', '$ is undefined'],
      ['{ a: [1, 2, 3, NaN] }', '$.a[3] is NaN'],
      ['[-Infinity]', '$[0] is -Infinity'],
      ['{ f: () => 1 }', '$.f is a function'],
      ['{ "a b": Symbol("x") }', '$["a b"] is a symbol'],
      ['[10n]', '$[0] is a bigint'],
      ['new BigInt64Array(1)', '$ is a BigInt64Array'],
      ['new DataView(new ArrayBuffer(8))', '$ is a DataView'],
      ['new Float64Array([1, NaN])', '$[1] is NaN'],
      ['[, 1]', '$[0] is undefined'],
      ['{ when: new Date() }', '$.when is an instance of Date'],
      ['new (class Point { x = 1 })()', '$ is an instance of Point'],
      ['new Map([[1, 2]])', '$ is an instance of Map'],
      ['"\\ud800"', '$ is a string with half a surrogate pair'],
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
      const expected = {
        threw: ['E_TASK_THREW', 'program'],
        input: ['E_INPUT', 'program'],
        loops: ['E_TIMEOUT', 'time'],
        'loops later': ['E_TIMEOUT', 'time'],
        never: ['E_NEVER_SETTLED', 'program'],
        heap: ['E_MEMORY', 'memory'],
        buffers: ['E_MEMORY', 'memory'],
        imports: ['E_IMPORT', 'program'],
        requires: ['E_IMPORT', 'program'],
      }
      const hows = Object.keys(expected).flatMap((how) => ['fine', how])
      const attempts = await runAll(run, [...hows, 'fine'], { timeoutMs: 400 })
      const seen = attempts.toSorted((a, b) => a.unit - b.unit).map((a) => (a.ok ? 'fine' : [a.code, a.blame]))
      expect(seen).toEqual([...Object.values(expected).flatMap((end) => ['fine', end]), 'fine'])
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

    test('run - aborting ends it without attempts for the rest', async () => {
      const sandbox = open('({ x }) => { if (x === 1) for (;;); return x }', { timeoutMs: 60_000 })
      const abort = new AbortController()
      const attempts: Attempt[] = []
      // A unit of its own frame, so that its end arrives before the loop begins.
      attempts.push(...(await collect(sandbox, [{ x: 0 }])))
      const rest = (async () => {
        for await (const group of sandbox.run(inputs(numbered(3)), abort.signal)) attempts.push(...group)
      })()
      abort.abort()
      await rest
      expect(attempts).toEqual([ok(0, '0')])
      expect(await collect(sandbox, [{ x: 5 }])).toEqual([ok(0, '5')])
      await sandbox.close()
    })

    test('run - leaving the iteration midway spoils nothing', async () => {
      const sandbox = open('({ x }) => x')
      for await (const group of sandbox.run(inputs(numbered(1_000)), AbortSignal.timeout(DEADLINE_MS))) {
        expect(group[0]).toEqual(ok(0, '0'))
        break
      }
      expect(await collect(sandbox, [{ x: 9 }])).toEqual([ok(0, '9')])
      await sandbox.close()
    })

    test('agree - asks the task', async () => {
      const source =
        'exports.default = { run: () => 1, agree: (a, b) => { if (a === "boo") throw new Error("boo"); return a === "bad" ? 1 : Math.abs(a - b) < 0.1 } }'
      const sandbox = runtime.open({ source, seed: 1, memoryMiB: 64, timeoutMs: 5_000 })
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
      const loops = runtime.open({ source, seed: 1, memoryMiB: 64, timeoutMs: 200 })
      await expect(loops.agree('1', '1', signal)).rejects.toMatchObject({ code: 'E_TIMEOUT' })
      await Promise.all([without.close(), loops.close()])
    })

    test('close - during a run ends it', async () => {
      const sandbox = open('() => { for (;;); }', { timeoutMs: 60_000 })
      const attempts = collect(sandbox, [0, 0])
      await sandbox.close()
      await sandbox.close()
      expect(await attempts).toEqual([])
    })
  })
}

const collect = (sandbox: Sandbox, params: unknown[]): Promise<Attempt[]> =>
  attemptsOf(sandbox.run(inputs(params), AbortSignal.timeout(DEADLINE_MS)))

async function attemptsOf(groups: AsyncIterable<Attempt[]>): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  for await (const group of groups) attempts.push(...group)
  return attempts
}

const inputs = (params: unknown[]) => params.map((of, unit) => ({ unit, params: JSON.stringify(of) }))

const numbered = (count: number) => Array.from({ length: count }, (_, x) => ({ x }))

const ok = (unit: number, value: string): Attempt => ({ unit, ok: true, value })

const codeOf = (attempt: Attempt): string => (attempt.ok ? 'ok' : attempt.code)
