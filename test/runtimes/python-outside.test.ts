/** What a unit of Python cannot reach or leave behind outside of the memory that is put back between units. */

import vm from 'node:vm'
import { describe, expect, test } from 'vitest'
import { makeWorld } from '../../node/runtimes/python/harness/world.ts'
import type { Attempt } from '../../protocol/work.ts'
import { attemptsOf, inputs } from './attempts.ts'
import { layDown } from './laid.ts'
import { PYTHON_DEADLINE_MS, script, startedPython } from './python-scripts.ts'

const { runtime, scratchDir } = startedPython()

async function run(
  text: string,
  points: object[],
  { more = {}, reversed = false }: { more?: Record<string, Uint8Array>; reversed?: boolean } = {},
): Promise<Attempt[]> {
  const { ref, trees } = await layDown(scratchDir, more)
  const source = script(text, { inputs: ref })
  const sandbox = runtime.open({ source, trees, seed: 7, cpus: 1, memoryMiB: 64, timeoutMs: 120_000 })
  try {
    const units = reversed ? inputs(points).toReversed() : inputs(points)
    return await attemptsOf(sandbox.run(units, AbortSignal.timeout(PYTHON_DEADLINE_MS)))
  } finally {
    await sandbox.close()
  }
}

const valuesOf = (attempts: Attempt[]): unknown[] =>
  attempts.map((attempt) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`))

/** An empty side module of Emscripten's: its section `dylink.0` says that it needs no memory. */
const EXTENSION = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[0, 15, 8, ...Buffer.from('dylink.0'), 1, 4, 0, 0, 0, 0],
)

describe('what is outside of the memory that is put back', () => {
  test('is nothing that Python holds, nor what its builtin modules give when they are imported anew', async () => {
    const held = `
import gc
def unit(x):
    classes = {type(held) for holder in gc.get_objects() for held in gc.get_referents(holder)}
    return sorted({above.__name__ for each in classes for above in each.__mro__ if above.__name__.startswith("Js")})
`
    const [classes] = valuesOf(await run(held, [{ x: 1 }])) as string[][]
    expect(classes?.length).toBeGreaterThan(0)
    expect(classes).not.toContain('JsProxy')
    const text = `
import sys
def unit(x):
    for name in ["_pyodide_core", "js", "pyodide_js"]: sys.modules.pop(name, None)
    import _pyodide_core
    shared = _pyodide_core.to_js([]).constructor.prototype
    seen = hasattr(shared, "left")
    shared.left = x
    return seen
`
    const refused = expect.stringMatching(
      /^E_TASK_THREW: Python itself failed: it called \w+, which leads out of Python$/,
    )
    expect(valuesOf(await run(text, [{ x: 1 }, { x: 2 }]))).toEqual([refused, refused])
  })

  test('is not changed by functions made for C, by random bytes or by names of other machines', async () => {
    const text = `
import ctypes, os, socket
def told(what):
    try:
        return str(what())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def unit(x):
    calls = [ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda a, n=n: a + n) for n in range(3)]
    with open("/dev/urandom", "rb") as random:
        return [[call(1) for call in calls], [ctypes.cast(call, ctypes.c_void_p).value for call in calls], random.read(8).hex(),
                told(lambda: socket.gethostbyname(f"machine{x}")), told(socket.socket), told(os.pipe)]
`
    const points = [{ x: 1 }, { x: 2 }]
    const first = await run(text, points)
    const values = valuesOf(first) as [number[], number[], string, ...string[]][]
    const [one] = values
    expect(one?.[0]).toEqual([1, 2, 3])
    expect(one?.slice(3)).toEqual([
      'gaierror: [Errno -4] Non-recoverable error',
      'OSError: [Errno 5] Address family not supported by protocol',
      'OSError: [Errno 52] Function not implemented',
    ])
    // Where they lie, for C, would tell how many there were before.
    expect(new Set(values.map(([, addresses]) => String(addresses))).size).toBe(1)
    expect((await run(text, points, { reversed: true })).toReversed()).toEqual(first)
  })

  test('is not reached by ctypes, nor kept by the libraries it loads', async () => {
    const text = `
import ctypes, importlib
def told(what):
    try:
        return str(what())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def unit(x):
    library = ctypes.CDLL(None)
    names = ["emscripten_run_script", "emscripten_run_script_int", "emscripten_run_script_string",
             "emscripten_async_run_script", "emscripten_dlopen", "emscripten_date_now", "strlen"]
    return [told(lambda: ctypes.CDLL("/unit/x.so")._name), told(lambda: importlib.import_module("x")),
            told(lambda: ctypes.CDLL("/unit/y.so")._handle > 0), *(told(lambda: getattr(library, name)).split(":")[0] for name in names)]
`
    const points = [{ x: 1 }, { x: 2 }]
    const more = { 'x.so': EXTENSION, 'y.so': EXTENSION }
    const first = await run(text, points, { more })
    const seen = [
      '/unit/x.so',
      'ImportError: dynamic module does not define module export function (PyInit_x)',
      'True',
      ...Array(7).fill('AttributeError'),
    ]
    expect(valuesOf(first)).toEqual([seen, seen])
    expect((await run(text, points, { more, reversed: true })).toReversed()).toEqual(first)
  })

  test('tells no true time and makes no code of text, even to JavaScript in the scope of Pyodide', () => {
    const { names } = makeWorld()
    const told = vm.compileFunction(
      `const found = []
      for (let next = Date; next !== null; next = Object.getPrototypeOf(next)) found.push(next.now?.())
      return [found, Date.UTC(1970, 0, 2), new Date(5).getTime(), new Date() instanceof Date, typeof eval, typeof globalThis.eval]`,
      Object.keys(names),
    )(...Object.values(names))
    expect(told).toEqual([[0, undefined, undefined], 86_400_000, 5, true, 'undefined', 'undefined'])
  })
})
