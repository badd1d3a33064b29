/** Attacks by a task with nothing but the language: on the host, on other units, on the encoder, on time. */

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AttackInit, endOf, Laboratory } from './laboratory.ts'

/** What a unit that does nothing surely takes less than. */
const NEIGHBOUR_MS = 1_000

let lab: Laboratory
beforeAll(async () => {
  lab = await Laboratory.open('os')
})
afterAll(() => lab.close())

const attack = async (body: string, init?: AttackInit, units?: unknown[]): Promise<unknown[]> =>
  (await lab.attack(`module.exports = ${body}`, init, units)).toSorted((a, b) => a.unit - b.unit).map(endOf)

describe('the host', () => {
  test('no global tells of it', async () => {
    const [names] = await attack(
      '() => { const g = []; for (let o = globalThis; o; o = Object.getPrototypeOf(o)) g.push(...Reflect.ownKeys(o).map(String)); return g.sort() }',
    )
    const words =
      'Deno process global self window navigator performance setTimeout Worker SharedArrayBuffer Atomics crypto'
    const hosts = `${words} fetch WebSocket localStorage caches WeakRef FinalizationRegistry Temporal Event EventTarget`
    for (const name of hosts.split(' ')) expect(names).not.toContain(name)
    expect(names).toHaveLength(79)
  })

  test('no code made from strings can import', async () => {
    const makers = [
      `eval('import("node:fs")')`,
      `(0, eval)('import("data:text/javascript,export default 1")')`,
      `new Function('return import("node:fs")')()`,
      `new (async () => {}).constructor('return await import("./harness.js")')()`,
      `new (function* () {}).constructor('yield import("npm:left-pad")')().next().value`,
      `new Function('return new Function("return import(\\'https://example.org/x.js\\')")()')()`,
      `Reflect.construct(Function, ['return import("jsr:@std/fs")'])()`,
    ]
    for (const maker of makers) expect(await attack(`() => ${maker}`), maker).toEqual(['E_IMPORT'])
  })

  test('without our way of compiling, an import would begin', async () => {
    const host = 'export const compileFunction = (body, names) => new Function(...names, body)\n'
    const source = await readFile(new URL('../../node/runtimes/js/harness/host.ts', import.meta.url), 'utf8')
    const harness = await lab.harnessWith(
      'host',
      `${source.replace(/export const compileFunction[\s\S]*?\n\n/, '')}\n${host}`,
    )
    const run = '() => import("data:text/javascript,export default 5").then((m) => m.default)'
    expect(await attack(run, { harness })).toEqual(['E_NEVER_SETTLED'])
    expect(await attack(run)).toEqual(['E_IMPORT'])
  })

  test('no stack, caller or error text shows the harness', async () => {
    const body = `() => {
      const f = new Function('return [typeof arguments.callee.caller, String(arguments.callee.caller)]')
      Error.prepareStackTrace = undefined
    }`
    expect(await attack(body)).toEqual(['E_TASK_THREW'])
    expect(await attack('() => new Function("return arguments.callee.caller")()')).toEqual([null])
    expect(await attack('() => new Error("x").stack')).toEqual(['Error: x'])
    expect(await attack('() => { try { null.x } catch (e) { return Reflect.ownKeys(e).sort() } }')).toEqual([
      ['message', 'stack'],
    ])
  })
})

describe('other units', () => {
  const WALK = `(mark, found, ...roots) => {
    const seen = new Set(), open = [globalThis, ...roots, ''[Symbol.iterator](), (function* () {})(), (async function* () {})(),
      async () => {}, /x/, [].values().map((x) => x), new Proxy({}, {}), new Error('x')]
    while (open.length) {
      const object = open.pop()
      if (object === null || (typeof object !== 'object' && typeof object !== 'function') || seen.has(object)) continue
      seen.add(object)
      for (const key of Reflect.ownKeys(object)) {
        if (key === 'evil') found.push(Reflect.ownKeys(object).map(String).join().slice(0, 120))
        const property = Object.getOwnPropertyDescriptor(object, key)
        if (property) open.push(property.value, property.get, property.set)
        try { open.push(Reflect.get(object, key)) } catch {}
      }
      open.push(Object.getPrototypeOf(object))
      if (mark) {
        Reflect.defineProperty(object, 'evil', { value: 1 })
        for (const key of Reflect.ownKeys(object)) if (key !== 'prototype') try { Reflect.set(object, key, 1) } catch {}
      }
    }
    return mark ? seen.size > 500 : found
  }`
  const SOURCE = `const walk = ${WALK}
  const thrown = (f) => { try { return f() } catch (e) { return [e, e.constructor] } }
  module.exports = async function (unit, context) {
    const shared = [context.log, context.random, require, console, queueMicrotask,
      thrown(() => require('x')), thrown(() => atob('*')), thrown(() => structuredClone(() => 1)), thrown(() => new TextDecoder('x')),
      thrown(() => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255]))), thrown(() => null.x), thrown(() => eval('(')),
      thrown(() => { const f = () => f() + 1; f() }), thrown(() => 'x'.repeat(-1)), thrown(() => decodeURI('%')), thrown(() => 1n + 1),
      thrown(() => new Function("{ using a = { [Symbol.dispose]() { throw 1 } }; throw 2 }")()), thrown(() => new WebAssembly.Module(new Uint8Array(3))),
      structuredClone(new Map([[1, new Date()]])), new TextEncoder().encode('a'), (function () { return arguments })(),
      await new Function('return import("x")')().catch((e) => [e, e.constructor]),
      await new (async () => 1).constructor('return import("./x.js")')().catch((e) => [e, e.constructor]),
      await WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), await WebAssembly.compile(new Uint8Array(3)).catch((e) => e),
      new Intl.Segmenter().segment('a'), new Intl.Segmenter().segment('a')[Symbol.iterator](), Iterator.from({ next() {} }), Iterator.from([1]).map(() => 1), new Date().toTemporalInstant?.(),
      Promise.withResolvers(), new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer, new Intl.DateTimeFormat().format, new Intl.NumberFormat().format, new Intl.Collator().compare]
    for (const f of shared) if (unit === 0) try { f.evil = 1; f.prototype.evil = 1 } catch {}
    const own = unit === 0 ? [] : [context, module, exports]
    return walk(unit === 0, [], ...shared, ...own)
  }`

  test('nothing one unit marks is seen by the next', async () => {
    expect((await lab.attack(SOURCE, {}, [0, 1])).map(endOf)).toEqual([true, []])
  })

  test('without freezing, the next unit sees hundreds of marks', async () => {
    const harness = await lab.harnessWith('realm', 'export const sealRealm = () => undefined')
    const body = '(unit) => { if (unit === 0) Object.prototype.evil = 1; return {}.evil ?? 0 }'
    expect(await attack(body, { harness }, [0, 1])).toEqual([1, 1])
    const pollute = '(unit) => { if (unit === 0) try { Object.prototype.evil = 1 } catch {} return {}.evil ?? 0 }'
    expect(await attack(pollute, {}, [0, 1])).toEqual([0, 0])
  })

  test.each([
    ['RegExp.$1', 'RegExp.$1 ?? null', '/(a)/.exec("a")'],
    ['RegExp.lastMatch', 'RegExp.lastMatch ?? null', '/b/.exec("b")'],
    ['a var of sloppy code', 'typeof leak', '(0, eval)("var leak = 1")'],
    ['a let of sloppy code', 'typeof leak', '(0, eval)("let leak = 1")'],
    ['an assignment without declaration', 'typeof leak', 'new Function("leak = 1")()'],
    ['Math', 'Math.leak ?? null', 'Math.leak = 1'],
    ['the random stream', 'Math.random()', 'Math.random()'],
    ['a replaced intrinsic', 'typeof JSON.stringify', 'JSON.stringify = 1'],
    ['Array.prototype', '[].leak ?? null', '[].__proto__.leak = 1; Array.prototype.leak = 1'],
    ['template objects', '((t) => Object.isFrozen(t))`x`', '((t) => { t.leak = 1 })`x`'],
  ])('no state in %s', async (_, look, leave) => {
    const body = `(unit) => { const before = ${look}; if (unit === 0) try { ${leave} } catch {} return before }`
    const alone = await attack(body, {}, [1, 1])
    expect(await attack(body, {}, [0, 1])).toEqual(alone)
  })

  test('promise jobs do not outlive their unit', async () => {
    const body = `(unit) => { if (unit === 0) { let n = 0; const more = () => { Math.random(); if (n++ < 50) Promise.resolve().then(more) }; more() }
      return Math.random() }`
    const alone = await attack(body, {}, [1, 1])
    expect((await attack(body, {}, [0, 1]))[1]).toEqual(alone[1])
  })

  test.each([
    ['a getter of the value', 'Object.defineProperty({}, "x", { enumerable: true, get: leave })'],
    ['a proxy', 'new Proxy({}, { ownKeys: () => [leave()] })'],
  ])('promise jobs made in %s do not outlive their unit', async (_, value) => {
    const run = (job: string) => `async (unit) => {
      const leave = () => { Promise.resolve().then(() => { ${job} }); return 'x' }
      if (unit === 0) return ${value}
      await null
      return Math.random()
    }`
    expect((await attack(run('Math.random()'), {}, [0, 1]))[1]).toEqual((await attack(run(''), {}, [1, 1]))[1])
    const ends = await attack(run('for (;;);'), { timeoutMs: NEIGHBOUR_MS }, [0, 1])
    expect(ends).toEqual(['E_TIMEOUT', expect.any(Number)])
  })

  test('promise jobs made while an error is told do not outlive their unit', async () => {
    const told =
      'Object.defineProperty(new Error(), "message", { get() { Promise.resolve().then(() => { for (;;); }) } })'
    const body = `async (unit) => { if (unit === 0) throw ${told}; return 1 }`
    expect(await attack(body, { timeoutMs: NEIGHBOUR_MS }, [0, 1])).toEqual(['E_TIMEOUT', 1])
  })

  test('what a rejected promise holds is free for the next unit', async () => {
    const body = '() => { try { Promise.reject(new Uint8Array(2e7)); return 1 } catch { return 0 } }'
    const units = Array.from({ length: 50 }, () => null)
    expect(new Set(await attack(body, {}, units))).toEqual(new Set([1]))
    const host = await readFile(new URL('../../node/runtimes/js/harness/host.ts', import.meta.url), 'utf8')
    const harness = await lab.harnessWith('host', host.replace('core.eventLoopHasMoreWork()', 'false'))
    expect(await attack(body, { harness }, units)).toContain(0)
  })

  test('memory that units leave behind is not the end of another', async () => {
    // Symbols of the registry are never freed; an allocation that fails is an error, where the heap's end is a death.
    const leave = 'Symbol.for("x".repeat(1e6) + Math.random())'
    const heap = `() => { ${leave}; return 1 }`
    expect(new Set(await attack(heap, {}, Array(75).fill(null)))).toEqual(new Set([1]))
    const buffers =
      '() => { const kept = []; Promise.reject(kept); for (let i = 0; i < 2; i++) kept.push(new Uint8Array(2e7)); return 1 }'
    expect(new Set(await attack(buffers, {}, Array(20).fill(null)))).toEqual(new Set([1]))
  })

  test('a unit that meets the memory limit by itself is told so, alone or among others', async () => {
    const run = '(greedy) => { const kept = []; while (greedy) kept.push(new Array(1e5).fill(greedy)); return 1 }'
    expect(await attack(run, {}, [0, 0, 1, 0, 1, 1, 0])).toEqual([1, 1, 'E_MEMORY', 1, 'E_MEMORY', 'E_MEMORY', 1])
    const ask = '(bytes) => new Uint8Array(bytes).length'
    expect(await attack(ask, {}, [1, 2e9, 2, 2e9])).toEqual([1, 'E_MEMORY', 2, 'E_MEMORY'])
  })

  test('frozen intrinsics do not break common code', async () => {
    const body = `() => {
      const o = {}; o.toString = () => 'mine'; o.constructor = 1; o.hasOwnProperty = 2
      class Mine extends Error { constructor() { super('m'); this.name = 'Mine'; this.message = 'n' } }
      function F() {} F.prototype = Object.create(Map.prototype); F.prototype.constructor = F; F.prototype.toString = () => 'f'
      const e = new TypeError('t'); e.message = 'u'; e.name = 'N'
      return [String(o), String(new Mine()), String(new F()), String(e), { ...o }.constructor, Object.keys(o).sort()]
    }`
    expect(await attack(body)).toEqual([
      ['mine', 'Mine: n', 'f', 'N: u', 1, ['constructor', 'hasOwnProperty', 'toString']],
    ])
  })
})

describe('clocks', () => {
  test('all stand still', async () => {
    const body = `() => [Date.now(), new Date().getTime(), Date().slice(0, 24), new (class extends Date {})().getTime(),
      Reflect.construct(Date, []).getTime(), new Date(5).constructor.now(), new Intl.DateTimeFormat('en').format(),
      new Intl.DateTimeFormat('en').format(undefined), new Intl.DateTimeFormat('en').formatToParts().length,
      new Intl.DateTimeFormat().resolvedOptions().timeZone, new Date(2020, 0).getTime(), new Date('2020').toISOString()]`
    expect(await attack(body)).toEqual([
      [
        0,
        0,
        'Thu Jan 01 1970 00:00:00',
        0,
        0,
        0,
        '1/1/1970',
        '1/1/1970',
        5,
        'UTC',
        1577836800000,
        '2020-01-01T00:00:00.000Z',
      ],
    ])
  })

  test('without the sealed realm they run', async () => {
    const harness = await lab.harnessWith('realm', 'export const sealRealm = () => undefined')
    const [now] = await attack('() => Date.now()', { harness })
    expect(now).toBeGreaterThan(1.7e12)
  })
})

describe('the encoder', () => {
  test.each([
    ['a getter that throws', '({ get x() { throw new Error("no") } })', 'E_TASK_THREW'],
    [
      'a getter that changes its mind',
      '(() => { let n = 0; return { get x() { return n++ ? () => 1 : 1 } } })()',
      { x: 1 },
    ],
    ['a getter that loops', '({ get x() { for (;;); } })', 'E_TIMEOUT'],
    ['toJSON', '({ toJSON: () => ({ forged: 1 }) })', 'E_RESULT_TYPE'],
    ['an array with toJSON', 'Object.assign([1], { toJSON: () => 2 })', [1]],
    [
      'a proxy with endless keys',
      'new Proxy({}, { ownKeys: () => Array.from({ length: 1e5 }, (_, i) => "k" + i), getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }), get: () => 1 })',
      'E_RESULT_TOO_BIG',
    ],
    [
      'a proxy of endless length',
      'new Proxy([], { get: (t, k) => k === "length" ? 2 ** 32 - 1 : 1 })',
      'E_RESULT_TOO_BIG',
    ],
    [
      'a proxy of impossible length',
      'new Proxy([], { get: (t, k) => k === "length" ? { valueOf: () => { throw 1 } } : 1 })',
      'E_TASK_THREW',
    ],
    [
      'a revoked proxy',
      '(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()',
      'E_TASK_THREW',
    ],
    [
      'a proxy with an endless prototype',
      '(() => { let n = 0; const h = { getPrototypeOf: () => new Proxy({}, h) }; return new Proxy({}, h) })()',
      'E_RESULT_TYPE',
    ],
    [
      'a typed array that lies',
      '(() => { class L extends Float64Array { get length() { return 1e9 } get [Symbol.toStringTag]() { return "BigInt64Array" } } return new L(2) })()',
      [0, 0],
    ],
    ['a key with half a surrogate pair', '({ "\\ud800": 1 })', 'E_RESULT_TYPE'],
    ['__proto__ as a key', 'JSON.parse(\'{"__proto__":{"evil":1}}\')', JSON.parse('{"__proto__":{"evil":1}}')],
    ['100 MB', '"x".repeat(1e8)', 'E_RESULT_TOO_BIG'],
    ['100 MB of small strings', 'Array.from({ length: 1e5 }, () => "x".repeat(1000))', 'E_RESULT_TOO_BIG'],
    [
      'a shared subtree 2^60 times',
      '(() => { let v = 1; for (let i = 0; i < 60; i++) v = [v, v]; return v })()',
      'E_RESULT_TOO_BIG',
    ],
  ])('%s', async (_, value, end) => {
    expect(await attack(`() => ${value}`, { memoryMiB: 256 })).toEqual([end])
  })

  test.each([
    ['resolves twice', '{ then(y) { y(1); y(2) } }', 1],
    ['throws after resolving', '{ then(y) { y(1); throw 2 } }', 1],
    ['never resolves', '{ then() {} }', 'E_NEVER_SETTLED'],
    ['resolves with itself', '(() => { const t = { then(y) { y(t) } }; return t })()', 'E_TIMEOUT'],
    [
      'is shy',
      '(() => { let n = 0; return { get then() { if (n++) throw new Error("gone"); return () => {} } } })()',
      'E_TASK_THREW',
    ],
    ['is a promise with its own then', 'Object.defineProperty(Promise.resolve(1), "then", { value: (y) => y(3) })', 3],
    [
      'has a hostile constructor',
      'Object.defineProperty(Promise.resolve(1), "constructor", { value: { [Symbol.species]: function () { throw 1 } } })',
      'E_TASK_THREW',
    ],
    ['is a function', 'Object.assign(() => 1, { then(y) { y(4) } })', 4],
  ])('a thenable that %s', async (_, thenable, end) => {
    expect(await attack(`() => (${thenable})`, end === 'E_TIMEOUT' ? { timeoutMs: 300 } : {})).toEqual([end])
  })

  test.each([
    ['undefined', 'undefined'],
    ['an object without prototype', 'Object.create(null)'],
    ['an error whose message loops', 'Object.defineProperty(new Error(), "message", { get() { return {} } })'],
    ['an error whose message throws', 'Object.defineProperty(new Error(), "message", { get() { throw 1 } })'],
    ['a proxy that throws at all', 'new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })'],
    ['a forged code', 'Object.assign(new Error("x"), { code: "E_UNIT_CRASHED" })'],
    ['a failure look-alike', '({ code: "E_UNIT_CRASHED", message: "x" })'],
  ])('throwing %s', async (_, thrown) => {
    expect(await attack(`() => { throw ${thrown} }`)).toEqual(['E_TASK_THREW'])
  })
})

describe('endless things', () => {
  test.each([
    ['recursion', '() => { const f = () => f() + 1; return f() }', 'E_TASK_THREW'],
    ['a catastrophic regular expression', '() => /^(a+)+$/.test("a".repeat(40) + "b")', 'E_TIMEOUT'],
    ['a loop in a finally', '() => { try { return 1 } finally { for (;;); } }', 'E_TIMEOUT'],
    [
      'a loop in a microtask left behind',
      '() => { const f = () => { Promise.resolve().then(f) }; f(); return 1 }',
      'E_TIMEOUT',
    ],
    ['a log', '(_, { log }) => { for (let i = 0; i < 1e6; i++) log("x".repeat(1000)); return 1 }', 1],
    ['a console', '() => { for (let i = 0; i < 1e6; i++) console.log("x"); return 1 }', 1],
    ['a string', '() => { let s = "x"; for (;;) s += s }', 'E_TASK_THREW'],
    ['a BigInt', '() => { let n = 3n; for (;;) n *= n }', 'E_TIMEOUT'],
    [
      'a sort',
      '() => { const a = Array.from({ length: 1e5 }, (_, i) => i); a.sort(() => { for (;;); }) }',
      'E_TIMEOUT',
    ],
  ])('%s', async (_, body, end) => {
    const bounds = { memoryMiB: 128, ...(end === 'E_TIMEOUT' ? { timeoutMs: 600 } : {}) }
    expect(await attack(body, bounds, [null, null])).toEqual([end, end])
  })

  test('recursion of promises', async () => {
    const body = '() => { const f = () => Promise.resolve().then(f); return f() }'
    // All that it begins is kept: which bound it meets first depends on the speed of the machine.
    const bounds = expect.stringMatching(/^E_(TIMEOUT|MEMORY)$/)
    expect(await attack(body, { timeoutMs: 600, memoryMiB: 128 }, [null, null])).toEqual([bounds, bounds])
  })
})
