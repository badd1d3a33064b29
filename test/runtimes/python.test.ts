/** What Python scripts may rely on, and what they cannot do. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failed } from '../../node/runtimes/failed.ts'
import { DenoHost } from '../../node/runtimes/js/deno-host.ts'
import { planLaunch } from '../../node/runtimes/js/launch.ts'
import type { PreparedJs } from '../../node/runtimes/js/prepare.ts'
import { JsSandbox } from '../../node/runtimes/js/sandbox.ts'
import { Session } from '../../node/runtimes/js/session.ts'
import { preparePython } from '../../node/runtimes/python/prepare.ts'
import { createPythonRuntime } from '../../node/runtimes/python/runtime.ts'
import type { SandboxInit, UnitReport } from '../../node/runtimes/runtime.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Attempt } from '../../protocol/work.ts'
import { attemptsOf, collect, inputs } from './attempts.ts'
import { keptSnapshot, script } from './python-scripts.ts'

/** 1.5 s, on a machine three times slower. bench/ has the figure. */
const SOON_MS = 4_500
const DEADLINE_MS = 240_000
/** Without the instructions that multiply and add in one rounding. */
const WITHOUT_FMA = 'glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4'

const keptIn = keptSnapshot()
let scratchDir: string
let host: DenoHost
let python: PreparedJs
const reports: UnitReport[] = []

beforeAll(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'talkoot-test-'))
  host = new DenoHost({ scratchDir })
  const signal = AbortSignal.timeout(DEADLINE_MS)
  python = await preparePython(await host.enter(signal), keptIn, signal)
}, DEADLINE_MS)
afterAll(async () => {
  await host.leave()
  await rm(scratchDir, { recursive: true, force: true })
})

type How = Partial<SandboxInit> & { env?: Record<string, string>; reversed?: boolean }

async function run(
  text: string,
  points: object[] = [{}],
  { env = {}, reversed = false, ...init }: How = {},
): Promise<Attempt[]> {
  const onReport = (report: UnitReport): void => void reports.push(report)
  const job: SandboxInit = {
    source: script(text),
    seed: 7,
    cpus: 1,
    memoryMiB: 64,
    timeoutMs: 120_000,
    onReport,
    ...init,
  }
  const { facts, folder } = python
  const openSession = async (): Promise<Session> => {
    const plan = planLaunch(facts, job.memoryMiB, 'python')
    const more = Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value])
    const bwrap = plan.bwrap.toSpliced(plan.bwrap.indexOf('--setenv'), 0, ...more)
    return new Session({ ...job, kind: 'python', plan: { ...plan, bwrap, env: { ...plan.env, ...env } }, folder })
  }
  const sandbox = new JsSandbox({ openSession, onClosed: () => undefined }, job)
  try {
    const units = reversed ? inputs(points).toReversed() : inputs(points)
    return await attemptsOf(sandbox.run(units, AbortSignal.timeout(DEADLINE_MS)))
  } finally {
    await sandbox.close()
  }
}

const valuesOf = (attempts: Attempt[]): unknown[] =>
  attempts.map((attempt) => (attempt.ok ? JSON.parse(attempt.value) : `${attempt.code}: ${attempt.message}`))

const where = (cases: Record<string, string>): string =>
  `def unit(do):\n${Object.entries(cases)
    .map(([name, lines]) => `    if do == "${name}":\n${lines.replace(/^/gm, '        ')}\n`)
    .join('')}`

/** Runs each case as a unit of one job. */
async function cases(of: Record<string, string>, how?: How): Promise<Record<string, unknown>> {
  const names = Object.keys(of)
  const values = valuesOf(
    await run(
      where(of),
      names.map((name) => ({ do: name })),
      how,
    ),
  )
  return Object.fromEntries(names.map((name, i) => [name, values[i]]))
}

const TRACES = `
import collections, decimal, json, os, random, sys, tempfile, time
kept = []
def look():
    return [len(kept), random.random(), sorted(os.listdir("/tmp")), os.getcwd(), os.environ.get("LEFT"), "left" in sys.modules,
            decimal.getcontext().prec, sys.getrecursionlimit(), len(os.listdir("/unit")), sorted({"a", "b", "left"}),
            list({"a", "b", "c", "left"}), id(kept), next(tempfile._get_candidate_names()), json.loads("[1]"), int(time.time())]
def unit(x):
    seen = look()
    kept.append(x)
    random.seed(x)
    os.makedirs("/tmp/left/more")
    open("/unit/script.py", "w").write("left")
    open("/unit/left", "w").write("left")
    os.environ["LEFT"] = "left"
    os.chdir("/tmp")
    sys.modules["left"] = sys
    decimal.getcontext().prec = 3
    sys.setrecursionlimit(77)
    json.loads = len
    time.sleep(100)
    held = [bytearray(1_000_000) for _ in range(40)]
    open("/tmp/held", "w").write("left")
    sys.stdout = open("/tmp/stdout", "w")
    return seen
`

const COMPUTES = `
import cmath, hashlib, itertools, math, random, statistics, time, uuid
def unit(x):
    walk = list(itertools.accumulate(random.gauss(0, 1) for _ in range(2000)))
    return {
        "math": [getattr(math, f)(0.1 + x) for f in "sin cos tan exp expm1 log log1p sinh cosh tanh gamma lgamma erf cbrt".split()],
        "power": [(1.1 + x) ** k for k in (0.3, 7.7, -2.5)],
        "complex": abs(cmath.exp(1j * x)),
        "walk": [statistics.fmean(walk), statistics.stdev(walk), math.fsum(walk), math.dist(walk[:9], walk[9:18])],
        "order": list({str(i) for i in range(20)}),
        "address": id(walk), "uuid": str(uuid.uuid4()), "time": time.time(), "hash": hash(("a", x)),
        "sha": hashlib.sha256(repr(walk).encode()).hexdigest(),
    }
`

describe('units', () => {
  test('find nothing of each other, in any order', async () => {
    const points = [{ x: 1 }, { x: 2 }, { x: 3 }]
    const first = await run(TRACES, points)
    const [one] = valuesOf(first)
    expect(one).toEqual([
      0,
      expect.any(Number),
      [],
      '/unit',
      null,
      false,
      28,
      1000,
      1,
      ...Array(4).fill(expect.anything()),
      [1],
      0,
    ])
    const reversed = await run(TRACES, points, { reversed: true })
    expect(reversed.toReversed()).toEqual(first)
    // A unit of another index draws other numbers and finds the same otherwise.
    const [, random, ...rest] = one as unknown[]
    for (const seen of valuesOf(first).slice(1) as unknown[][]) {
      expect(seen[1]).not.toBe(random)
      expect(seen.slice(2).toSpliced(10, 1)).toEqual(rest.toSpliced(10, 1))
    }
  })

  test('give the same bytes with and without FMA, in one process or in several', async () => {
    const points = [{ x: 0 }, { x: 1 }, { x: 2.5 }]
    const expected = await run(COMPUTES, points)
    expect(expected.map(({ ok }) => ok)).toEqual([true, true, true])
    expect(await run(COMPUTES, points, { env: { GLIBC_TUNABLES: WITHOUT_FMA } })).toEqual(expected)
    expect((await run(COMPUTES, points.slice(0, 1)))[0]).toEqual(expected[0])
  })

  test(
    'the first is there soon on a warm node',
    async () => {
      const runtime = createPythonRuntime({ scratchDir, keptIn })
      await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
      let soonest = Number.POSITIVE_INFINITY
      for (let seed = 1; seed <= 4 && soonest >= SOON_MS; seed++) {
        const from = performance.now()
        const sandbox = runtime.open({
          source: script('def unit(): return 1'),
          seed,
          cpus: 1,
          memoryMiB: 64,
          timeoutMs: 120_000,
        })
        expect(valuesOf(await collect(sandbox, [{}]))).toEqual([1])
        soonest = Math.min(soonest, performance.now() - from)
        await sandbox.close()
      }
      expect(soonest).toBeLessThan(SOON_MS)
      await runtime.stop()
    },
    DEADLINE_MS,
  )
})

test('a failure is told as Python tells it, from the line of the script on', async () => {
  const [attempt] = await run('def deeper(x):\n    return 1 / x\n\ndef unit(x):\n    return deeper(x)\n', [{ x: 0 }])
  const said = [
    'Traceback (most recent call last):',
    '  File "script.py", line 5, in unit',
    '    return deeper(x)',
    '  File "script.py", line 2, in deeper',
    '    return 1 / x',
    '           ~~^~~',
    'ZeroDivisionError: division by zero',
  ]
  expect(attempt).toEqual(failed(0, 'E_TASK_THREW', said.join('\n')))
})

test(
  'what is wrong is coded',
  async () => {
    const found = await cases({
      value: 'return {"a": [1, 2.5, None, True, "ä"], "t": (1, 2)}',
      set: 'return {"a": [1, {2}]}',
      nan: 'return [0, float("nan")]',
      large: 'return 2 ** 53',
      key: 'return {1: 2}',
      cycle: 'a = []\na.append(a)\nreturn a',
      array: 'import array\nreturn array.array("d", [1, 2])',
      missing: 'import numpy',
      exit: 'import sys\nsys.exit(3)',
      quits: 'import os\nos._exit(4)',
      aborts: 'import os\nos.abort()',
      calls: 'def f(n): return f(n + 1)\nf(0)',
      nested: 'x = []\nfor i in range(20_000): x = [x]\nreturn len(repr(x))',
      caught: 'try:\n    return len(bytearray(10 ** 9))\nexcept MemoryError:\n    return "went on"',
      fine: 'return 1',
    })
    expect(found).toEqual({
      value: { a: [1, 2.5, null, true, 'ä'], t: [1, 2] },
      set: 'E_RESULT_TYPE: value.a[1] is an instance of set',
      nan: 'E_RESULT_TYPE: value[1] is nan: JSON has no such number; give None or a text in its place',
      large: 'E_RESULT_TYPE: value is an integer beyond 2**53 - 1',
      key: 'E_RESULT_TYPE: value is a dict with a key that is no string: 1',
      cycle: expect.stringMatching(/^E_RESULT_TYPE: .* is deeper than 64 levels, or holds itself$/),
      array: [1, 2],
      missing: expect.stringContaining('E_IMPORT: Traceback (most recent call last):\n  File "script.py"'),
      exit: 'E_EXIT: exit 3',
      quits: 'E_EXIT: exit 4',
      aborts: expect.stringMatching(/^E_TASK_THREW: Python itself failed/),
      calls: expect.stringMatching(/^E_TASK_THREW: .*RecursionError: maximum recursion depth exceeded$/s),
      nested: 40_002,
      caught: 'E_MEMORY: the memory limit was reached',
      fine: 1,
    })
    expect(valuesOf(await run('def unit(x, y=1): return x', [{ z: 1 }]))).toEqual([
      "E_INPUT: unit(): missing a required argument: 'x'",
    ])
  },
  DEADLINE_MS,
)

test('time is told by a clock that only sleeping and looking move', async () => {
  const found = await cases({
    sleeps:
      'import time\na = time.time()\ntime.sleep(3600)\nreturn [round(a, 3), round(time.time() - a), time.gmtime().tm_hour]',
    waits: 'import time\nend = time.monotonic() + 0.01\nn = 0\nwhile time.monotonic() < end: n += 1\nreturn n > 1',
    tasks: [
      'import asyncio',
      'async def late(x):\n    await asyncio.sleep(x)\n    return x',
      'async def all(): return await asyncio.gather(late(60), late(1), asyncio.wait_for(late(5), 10))',
      'return asyncio.run(all())',
    ].join('\n'),
    stuck: 'import asyncio\nasync def never(): await asyncio.Event().wait()\nasyncio.run(never())',
  })
  expect(found).toEqual({
    sleeps: [0, 3600, 1],
    waits: true,
    tasks: [60, 1, 5],
    stuck: expect.stringMatching(/^E_NEVER_SETTLED: /),
  })
})

test(
  'there is nothing but Python',
  async () => {
    const found = await cases({
      javascript: 'import js',
      pyodide: 'import pyodide.code',
      host: 'import pyodide_js',
      reads: 'return open("/proc/self/environ").read()',
      network: 'import socket\nsocket.create_connection(("127.0.0.1", 9), timeout=1)',
      process: 'import subprocess\nsubprocess.run(["ls"])',
      thread: 'import threading\nthreading.Thread(target=print).start()',
      input: 'return input()',
      fills: 'with open("/tmp/x", "wb") as f:\n    for _ in range(100): f.write(bytes(10 ** 6))',
      again: 'for _ in range(100): open("/tmp/x", "wb").write(bytes(10 ** 6))\nreturn 1',
      sparse: 'with open("/tmp/x", "wb") as f:\n    f.seek(10 ** 10)\n    f.write(b"x")',
    })
    expect(found).toEqual({
      javascript: expect.stringContaining('E_IMPORT'),
      pyodide: expect.stringContaining('E_IMPORT'),
      host: expect.stringContaining('E_IMPORT'),
      reads: expect.stringContaining('FileNotFoundError'),
      network: expect.stringMatching(/OSError|gaierror/),
      process: expect.stringContaining('OSError'),
      thread: expect.stringContaining("RuntimeError: can't start new thread"),
      input: expect.stringContaining('EOFError'),
      fills: expect.stringContaining('OSError: [Errno 51] No space left on device'),
      again: 1,
      sparse: expect.stringContaining('OSError'),
    })
  },
  DEADLINE_MS,
)

test('a script without a function is given arguments, and its value is what it prints', async () => {
  const text = [
    'import argparse, sys',
    'parser = argparse.ArgumentParser()',
    'parser.add_argument("--x", type=float)',
    'parser.add_argument("--name")',
    'args = parser.parse_args()',
    'def main():',
    '    print(args.name, args.x * 2)',
    '    print("to stderr", file=sys.stderr)',
    'if __name__ == "__main__": main()',
    'sys.exit(1 if args.x == 2 else 0)',
  ].join('\n')
  reports.length = 0
  expect(
    valuesOf(
      await run(text, [
        { x: 1, name: 'é' },
        { x: 2, name: 'b' },
      ]),
    ),
  ).toEqual([{ stdout: 'é 2.0' }, 'E_EXIT: exit 1'])
  expect(reports.map(({ stderr }) => stderr)).toEqual(['to stderr\n', 'to stderr\n'])
  expect(valuesOf(await run('while True: print("x" * 1000)'))).toEqual([expect.stringContaining('E_RESULT_TOO_BIG')])
})

test('what cannot be saved is refused, and a script may catch it', async () => {
  const over = LIMITS.UNIT_CHECKPOINT_MAX_BYTES
  const text = [
    'import os',
    'from talkoot import checkpoint',
    'def unit(case):',
    `    states = ["x" * ${over}, {"a": {1, 2}}, "\\ud800", 1]`,
    '    try:',
    '        checkpoint(states[case])',
    '    except Exception as error:',
    '        checkpoint("caught")',
    '        device = os.open("/dev/checkpoint", os.O_WRONLY)',
    '        try:',
    '            os.write(device, b"{")',
    '        except OSError:',
    '            return str(error)',
  ].join('\n')
  expect(valuesOf(await run(text, [{ case: 0 }, { case: 1 }, { case: 2 }, { case: 3 }]))).toEqual([
    `checkpoint: it is over ${over} bytes`,
    'checkpoint: value.a is an instance of set',
    expect.stringContaining('surrogates not allowed'),
    null,
  ])
  expect(valuesOf(await run('from talkoot import checkpoint\ndef unit():\n    checkpoint(unit)'))).toEqual([
    'E_CHECKPOINT: checkpoint: value is an instance of function',
  ])
})
