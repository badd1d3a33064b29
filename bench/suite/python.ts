/** Python scripts in the sandbox: how soon the first unit is there, what one costs, how fast Python is beside the machine's own. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPythonRuntime } from '../../node/runtimes/python/runtime.ts'
import type { Runtime } from '../../node/runtimes/runtime.ts'
import { encodeScript } from '../../protocol/python/script.ts'
import type { Benchmark, Sample } from '../benchmark.ts'

const UNITS = 200
const DEADLINE_MS = 120_000

const LOOP = `
def work(n):
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1_000_003
    return total
`
const LOOPS = 5_000_000

export const python: Benchmark = {
  name: 'python',
  about:
    'a Python process from its snapshot to the first value, 200 units of nothing in it, and a loop beside the python3 of this machine',
  figures: {
    'first unit': { unit: 'ms', better: 'less', per: 'cpu', must: 1_500, tolerance: 0.5 },
    'a unit': { unit: 'ms', better: 'less', per: 'cpu', tolerance: 0.5 },
    'slower than python3': { unit: 'x', better: 'less', per: null, tolerance: 1 },
  },
  rounds: { full: 3, quick: 1 },
  open: async () => {
    const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
    const runtime = createPythonRuntime({ scratchDir })
    await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
    return {
      round: async (): Promise<Sample> => {
        const [first = Number.NaN, last = Number.NaN] = await endsOf(runtime, 'def unit(n): return n\n', UNITS)
        const [began = Number.NaN, ended = Number.NaN] = await endsOf(
          runtime,
          `${LOOP}def unit(n): return work(n * ${LOOPS})\n`,
          2,
        )
        return {
          'first unit': first,
          'a unit': (last - first) / (UNITS - 1),
          'slower than python3': (ended - began) / ownLoopMs(),
        }
      },
      [Symbol.asyncDispose]: async () => {
        await runtime.stop()
        rmSync(scratchDir, { recursive: true, force: true })
      },
    }
  },
}

/** When the first and the last of so many units had ended, from the opening of a sandbox on. */
async function endsOf(runtime: Runtime, text: string, units: number): Promise<[first: number, last: number]> {
  const source = encodeScript({ v: 1, file: 'bench.py', base64: Buffer.from(text).toString('base64') })
  const began = performance.now()
  const sandbox = runtime.open({ source, seed: 1, cpus: 1, memoryMiB: 64, timeoutMs: 60_000 })
  const ends: number[] = []
  const run = async (from: number, to: number): Promise<void> => {
    const inputs = Array.from({ length: to - from }, (_, i) => ({ unit: from + i, params: `{"n":${from + i}}` }))
    for await (const attempts of sandbox.run(inputs, AbortSignal.timeout(DEADLINE_MS))) {
      if (attempts.some(({ ok }) => !ok)) throw new Error(JSON.stringify(attempts))
    }
    ends.push(performance.now() - began)
  }
  await run(0, 1)
  await run(1, units)
  await sandbox.close()
  const [first = Number.NaN, last = Number.NaN] = ends
  return [first, last]
}

/** Not a number where the machine has none. */
function ownLoopMs(): number {
  const text = `${LOOP}import time\nwork(1000)\na = time.perf_counter()\nwork(${LOOPS})\nprint((time.perf_counter() - a) * 1000)`
  try {
    return Number(execFileSync('python3', ['-c', text], { encoding: 'utf8', timeout: DEADLINE_MS }))
  } catch {
    return Number.NaN
  }
}
