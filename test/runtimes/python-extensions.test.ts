/** Compiled extensions of Python: what is imported, and that they reach, keep and learn no more than Python does. */

import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMPILED_TAG } from '../../protocol/python/wheel.ts'
import { python } from '../../sdk/python.ts'
import { attemptsOf, inputs } from './attempts.ts'
import { type Extension, extension, wheel } from './extension.ts'
import { layDown } from './laid.ts'
import { PYTHON_DEADLINE_MS, script, startedPython } from './python-scripts.ts'

const { runtime, scratchDir } = startedPython()

const NAME = `hand-1.0-${COMPILED_TAG}.whl`
const wheelOf = (extensions: Record<string, Extension>): Buffer =>
  wheel(
    Object.fromEntries(
      Object.entries(extensions).map(([name, of]) => [
        `hand/${name}.cpython-314-wasm32-emscripten.so`,
        extension(name, of),
      ]),
    ),
  )

/** The values of units, or their codes and messages. */
async function run(
  files: Record<string, Uint8Array | string>,
  text: string,
  points: object[],
  timeoutMs = 120_000,
): Promise<unknown[]> {
  const { ref, trees } = await layDown(scratchDir, files)
  const source = script(text, { inputs: ref })
  const sandbox = runtime.open({ source, trees, seed: 7, cpus: 1, memoryMiB: 64, timeoutMs })
  try {
    const attempts = await attemptsOf(sandbox.run(inputs(points), AbortSignal.timeout(PYTHON_DEADLINE_MS)))
    return attempts.map((attempt) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`))
  } finally {
    await sandbox.close()
  }
}

/** What each of them gives, called by a unit of its own. */
async function called(extensions: Record<string, Extension>): Promise<Record<string, unknown>> {
  const text = `import importlib
def unit(name):
    try:
        return importlib.import_module(f"hand.{name}").call(0.5)
    except ImportError as error:
        return str(error).splitlines()[-1]
`
  const names = Object.keys(extensions)
  const values = await run(
    { [NAME]: wheelOf(extensions) },
    text,
    names.map((name) => ({ name })),
  )
  return Object.fromEntries(names.map((name, index) => [name, values[index]]))
}

const noPoints = (): never => {
  throw new Error('no name has a template')
}

const OUT = (name: string) => `E_TASK_THREW: Python itself failed: it called ${name}, which leads out of Python`

describe('compiled extensions', () => {
  it('of wheels are imported, compute the same everywhere, and keep nothing for the next unit', async () => {
    // Its number of calls is in no memory that is put back.
    const counts = `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (call $float (f64.add (f64.sqrt (call $double (local.get $given))) (f64.convert_i32_s (global.get $calls))))`
    const text = `from hand import fast
def unit(x):
    return [fast.call(x), fast.call(x), fast.__file__]
`
    const files = { [NAME]: wheelOf({ fast: { body: counts } }) }
    const points = [{ x: 2 }, { x: 3 }]
    const first = await run(files, text, points)
    const file = '/packages/hand/fast.cpython-314-wasm32-emscripten.so'
    expect(first).toEqual([2, 3].map((x) => [Math.sqrt(x) + 1, Math.sqrt(x) + 2, file]))
    expect((await run(files, text, points.toReversed())).toReversed()).toEqual(first)
  })

  it('call nothing of JavaScript, by whatever name and from whatever place', async () => {
    const none = '(call $float (f64.const 0))'
    const runs = '(func $out (param i32))'
    const found = await called({
      text: { imports: `(import "env" "emscripten_run_script" ${runs})`, body: `(call $out (global.get $at)) ${none}` },
      text_elsewhere: {
        imports: `(import "wasi_snapshot_preview1" "emscripten_run_script" ${runs})`,
        body: `(call $out (global.get $at)) ${none}`,
      },
      address: {
        imports: '(import "GOT.func" "emscripten_run_script" (global $out (mut i32)))',
        more: '(type $takes (func (param i32)))',
        body: `(call_indirect (type $takes) (global.get $at) (global.get $out)) ${none}`,
      },
      constant: {
        imports: '(import "env" "emscripten_asm_const_int" (func $out (param i32 i32 i32) (result i32)))',
        body: `(drop (call $out (global.get $at) (global.get $at) (global.get $at))) ${none}`,
      },
      inherited: {
        imports: '(import "env" "constructor" (func $out (param i32) (result i32)))',
        body: `(drop (call $out (i32.const 0))) ${none}`,
      },
      later: {
        imports: '(import "env" "_emscripten_dlopen_js" (func $out (param i32 i32 i32 i32)))',
        body: `(call $out (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (call $float (f64.const 7))`,
      },
      brings: {
        more: '(global (export "__em_js__left") i32 (i32.const 256)) (data (i32.add (global.get $at) (i32.const 256)) "")',
        body: none,
      },
      starts: {
        more: '(global (export "__start_em_asm") i32 (i32.const 128)) (global (export "__stop_em_asm") i32 (i32.const 130))',
        body: none,
      },
    })
    expect(found).toEqual({
      text: OUT('emscripten_run_script'),
      text_elsewhere: OUT('emscripten_run_script'),
      address: OUT('emscripten_run_script'),
      constant: OUT('emscripten_asm_const_int'),
      inherited: 'TalkootError: there is no constructor to import',
      later: 7,
      brings: 'TypeError: eval is not a function',
      starts: 'TypeError: eval is not a function',
    })
  })

  it('learn no true time and no true chance', async () => {
    const tells = (more: string, told: string): Extension => ({ imports: more, body: `(call $float ${told})` })
    const free = '(i32.add (global.get $at) (i32.const 256))'
    const extensions = {
      now: tells('(import "env" "emscripten_get_now" (func $now (result f64)))', '(call $now)'),
      date: tells('(import "env" "emscripten_date_now" (func $now (result f64)))', '(call $now)'),
      clock: tells(
        '(import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))',
        `(f64.convert_i64_s (block (result i64) (drop (call $now (i32.const 0) (i64.const 0) ${free})) (i64.load ${free})))`,
      ),
      chance: tells(
        '(import "wasi_snapshot_preview1" "random_get" (func $draw (param i32 i32) (result i32)))',
        `(f64.convert_i64_s (block (result i64) (drop (call $draw ${free} (i32.const 8))) (i64.load ${free})))`,
      ),
    }
    const found = await called(extensions)
    expect(await called(extensions)).toEqual(found)
    const { chance, ...clocks } = found
    for (const told of Object.values(clocks)) expect(told).toBeLessThan(10 ** 9)
    expect(chance).toEqual(expect.any(Number))
  })

  it('are refused where results may differ between machines, and bounded as the unit is', async () => {
    const none = '(call $float (f64.const 0))'
    const zero = '(v128.const i32x4 0 0 0 0)'
    const relaxed = `(drop (f32x4.relaxed_madd ${zero} ${zero} ${zero})) ${none}`
    const found = await called({
      relaxed: { body: relaxed },
      huge: { body: none, memoryBytes: 2 ** 30 },
      many: { body: none, functions: 2 ** 31 },
      fine: { body: none },
    })
    expect(found).toEqual({
      relaxed: expect.stringMatching(/^TalkootError: the module has the instruction 261 of the vector ones/),
      huge: 'E_MEMORY: the memory limit was reached',
      many: expect.stringMatching(/^RangeError: WebAssembly.Table.grow\(\)/),
      fine: 0,
    })
    const endless = { body: none, more: '(func (export "__wasm_call_ctors") (loop $again (br $again)))' }
    const text = 'def unit(): from hand import endless'
    const [end] = await run({ [NAME]: wheelOf({ endless }) }, text, [{}], 3_000)
    expect(end).toMatch(/^E_TIMEOUT/)
  })

  it.each(['cp313-cp313-pyodide_2025_0_wasm32', 'cp314-cp314-manylinux_2_28_x86_64'])(
    'of wheels for something else are refused: %s',
    async (tag) => {
      const path = `hand-1.0-${tag}.whl`
      const message = `${path}: wheels are of pure Python (py3-none-any) or of ${COMPILED_TAG}`
      const files = { 'script.py': 'def unit(): return 1', [path]: wheel({}) }
      expect(await run(files, files['script.py'], [{}])).toEqual([`E_WHEEL: ${message}`])
      // Nor submitted.
      const cwd = mkdtempSync(join(scratchDir, 'own-'))
      for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content)
      const bundled = python('script.py', { inputs: [path], cwd }).bundle({
        points: noPoints,
        signal: new AbortController().signal,
      })
      await expect(bundled).rejects.toMatchObject({ code: 'E_WHEEL', message })
    },
  )
})
