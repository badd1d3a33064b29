/**
 * Units give the same bytes with fused multiplication and addition and without: as the C library chooses its functions, and as V8
 * chooses its instructions. Both are first seen to differ outside of the sandbox on this machine.
 */

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HarnessKind } from '../../node/runtimes/js/frames.ts'
import { planLaunch } from '../../node/runtimes/js/launch.ts'
import { Session } from '../../node/runtimes/js/session.ts'
import { encodeModuleTask, type ModuleTask } from '../../protocol/wasm/module-task.ts'
import { encodeWasiProgram } from '../../protocol/wasm/wasi-program.ts'
import { type Alter, Laboratory } from './laboratory.ts'
import { wasi, wasmOf } from './wat.ts'

const TUNABLES = 'glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4'
const V8_FLAGS = ['--no-enable-fma3', '--no-enable-avx2', '--no-enable-avx']
const DEADLINE_MS = 240_000

let lab: Laboratory
beforeAll(async () => {
  lab = await Laboratory.open('os')
})
afterAll(() => lab.close())

type Processor = 'as it is' | 'the C library without' | 'V8 without'

const on =
  (processor: Processor): Alter =>
  (plan) => {
    if (processor === 'as it is') return plan
    if (processor === 'V8 without') {
      const flagged = (word: string) => (word.startsWith('--v8-flags=') ? [word, ...V8_FLAGS].join(',') : word)
      return { ...plan, deno: plan.deno.map(flagged) }
    }
    const inside = ['--setenv', 'GLIBC_TUNABLES', TUNABLES]
    const bwrap = plan.bwrap.flatMap((word) => (word === '--clearenv' ? [word, ...inside] : [word]))
    return { ...plan, bwrap, env: { ...plan.env, GLIBC_TUNABLES: TUNABLES } }
  }

/** What one unit gives in a sandbox that sees such a processor. */
async function valueOn(processor: Processor, kind: HarnessKind, source: string): Promise<string> {
  const { facts, folder } = lab.prepared
  const plan = on(processor)(planLaunch(facts, 64, kind))
  const session = new Session({ kind, source, seed: 7, memoryMiB: 64, timeoutMs: DEADLINE_MS, plan, folder })
  try {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    await session.start(signal)
    const { value } = await session.exchange([{ unit: 0, params: '{"n":20000}' }], signal).next()
    if (!Array.isArray(value)) throw new Error(JSON.stringify(value))
    const [code, text] = value[0] ?? ['no end', '']
    if (code !== null) throw new Error(`${code} ${text}`)
    return text
  } finally {
    await session.close()
  }
}

/** Digests of the bits of each function, and sums whose every product and addition must be rounded by itself. */
const JS = `module.exports = ({ n }) => {
  const bits = new DataView(new ArrayBuffer(8))
  const of = {}
  for (const f of ['sin', 'cos', 'tan', 'exp', 'log', 'tanh', 'cbrt']) of[f] = digest((x) => Math[f](x))
  of.pow = digest((x) => Math.pow(x, 1.37))
  let dot = 0, horner = 0
  const products = digest((x) => (dot = dot + x * (x - 0.1), horner = horner * 0.99 + x, dot - horner))
  return { ...of, products, dot, horner }
  function digest(f) {
    let hash = 2166136261
    for (let i = 0, x = 0.1; i < n; i++) {
      x = x * 1.0001 + 0.001
      if (x > 700) x -= 699.5
      bits.setFloat64(0, f(x))
      for (let at = 0; at < 8; at++) hash = Math.imul(hash ^ bits.getUint8(at), 16777619)
    }
    return hash >>> 0
  }
}`

/** Sums of products of numbers and of vectors, and functions of the sandbox, as 64-bit floats. */
const NUMBERS = `
  (import "Math" "sin" (func $sin (param f64) (result f64))) (import "Math" "exp" (func $exp (param f64) (result f64)))
  (import "Math" "pow" (func $pow (param f64 f64) (result f64)))
  (func (export "unit") (param $n i32) (result f64 f64 i32 i32 f64 f64) (local $x f64) (local $sum f64) (local $lanes v128)
    (local $bits i64)
    (local.set $x (f64.const 0.1))
    (loop $next
      (local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.999)) (f64.const 0.001)))
      (local.set $sum (f64.add (local.get $sum) (f64.mul (local.get $x) (f64.sub (local.get $x) (f64.const 0.1)))))
      (local.set $lanes (f64x2.add (local.get $lanes) (f64x2.mul (f64x2.splat (local.get $x)) (f64x2.splat (local.get $sum)))))
      (local.set $bits (i64.xor (i64.rotl (local.get $bits) (i64.const 7)) (i64.reinterpret_f64
        (f64.mul (call $sin (local.get $sum)) (call $pow (local.get $sum) (call $exp (local.get $x)))))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x) (local.get $sum) (i32.wrap_i64 (local.get $bits)) (i32.wrap_i64 (i64.shr_u (local.get $bits) (i64.const 32)))
    (f64x2.extract_lane 0 (local.get $lanes)) (f64x2.extract_lane 1 (local.get $lanes)))`

/** The bits of such a sum, as hexadecimal digits. */
const PROGRAM = wasi(`(local $n i32) (local $x f64) (local $sum f64) (local $at i32)
  (local.set $n (i32.const 20000)) (local.set $x (f64.const 0.1))
  (loop $next
    (local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.999)) (f64.const 0.001)))
    (local.set $sum (f64.add (local.get $sum) (f64.mul (local.get $x) (f64.sub (local.get $x) (f64.const 0.1)))))
    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (loop $digit
    (i32.store8 offset=128 (local.get $at) (i32.add (i32.const 65) (i32.and (i32.const 15)
      (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get $sum)) (i64.extend_i32_u (i32.mul (local.get $at) (i32.const 4))))))))
    (br_if $digit (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 16))))
  (call $write (i32.const 1) (i32.const 128) (i32.const 16))`)

const base64 = (text: string): string => wasmOf(text).toString('base64')
const UNITS: [HarnessKind, string][] = [
  ['js', JS],
  [
    'wasm',
    encodeModuleTask({ v: 1, base64: base64(`(module ${NUMBERS})`), export: 'unit', takes: ['n'], gives: 'numbers' }),
  ],
  [
    'wasi',
    encodeWasiProgram({ v: 1, base64: base64(PROGRAM), args: [], env: {}, stdin: null, inputs: null, outputs: [] }),
  ],
]

describe('the bytes of a unit are the same without fused multiplication and addition', () => {
  it.each(UNITS)('of %s', async (kind, source) => {
    const value = await valueOn('as it is', kind, source)
    expect(value.length).toBeGreaterThan(16)
    expect(await valueOn('the C library without', kind, source)).toBe(value)
    expect(await valueOn('V8 without', kind, source)).toBe(value)
  })
})

const RELAXED = `(module (func (export "unit") (param f64 f64 f64) (result f64)
  (f64x2.extract_lane 0 (f64x2.relaxed_madd (f64x2.splat (local.get 0)) (f64x2.splat (local.get 1)) (f64x2.splat (local.get 2))))))`

it('V8 itself would differ: instructions that leave it to the processor are refused', async () => {
  const script = `new WebAssembly.Instance(new WebAssembly.Module(Buffer.from('${base64(RELAXED)}','base64'))).exports.unit(0.1, 10, -1)`
  const values = [[], V8_FLAGS].map((flags) =>
    execFileSync(process.execPath, [...flags, '-p', script], { encoding: 'utf8' }),
  )
  if (values[0] === values[1]) console.warn('not run: this processor does not multiply and add at once')
  const task: ModuleTask = { v: 1, base64: base64(RELAXED), export: 'unit', takes: ['x', 'y', 'z'], gives: 'number' }
  await expect(valueOn('as it is', 'wasm', encodeModuleTask(task))).rejects.toThrow(/E_SOURCE.* 263 of the vector ones/)
})

it('a script that compiles such instructions is refused as well', async () => {
  const source = `module.exports = () => {
    const bytes = Uint8Array.from(atob('${base64(RELAXED)}'), (c) => c.charCodeAt(0))
    const told = [bytes, bytes.buffer, new DataView(bytes.buffer)].map((of) => {
      try { return new WebAssembly.Instance(new WebAssembly.Module(of)).exports.unit(0.1, 10, -1) }
      catch (e) { return [e instanceof WebAssembly.CompileError, Object.getPrototypeOf(e) === WebAssembly.CompileError.prototype, e.message.includes('relaxed')] }
    })
    const whole = new WebAssembly.Module(Uint8Array.from(atob('${base64(`(module ${NUMBERS})`)}'), (c) => c.charCodeAt(0)))
    return [told, whole instanceof WebAssembly.Module, whole.constructor === WebAssembly.Module, WebAssembly.Module.exports(whole)[0].name]
  }`
  const refused = [true, true, true]
  const [first, again] = [await valueOn('as it is', 'js', source), await valueOn('V8 without', 'js', source)]
  expect(JSON.parse(first)).toEqual([[refused, refused, refused], true, true, 'unit'])
  expect(again).toBe(first)
})

it('the C library itself differs, in the same sandbox without the harness', async () => {
  const script = `let sum = 0n, x = 0.1; const bits = new BigUint64Array(1), of = new Float64Array(bits.buffer)
    for (let i = 0; i < 100000; i++) { x = x * 1.0001 + 0.001; if (x > 700) x -= 699.5; of[0] = Math.pow(x, 1.37); sum += bits[0] }
    console.log(String(sum))`
  const [fused, apart] = [await lab.intrude(script), await lab.intrude(script, on('the C library without'))]
  expect([fused, apart]).toEqual([expect.stringMatching(/^\d+$/), expect.stringMatching(/^\d+$/)])
  if (fused === apart) console.warn('not run: the tunable changes nothing on this machine')
})
