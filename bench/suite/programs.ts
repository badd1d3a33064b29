/** Programs of about 10 ms over two slots, against the same programs in the same sandbox with no mesh around them. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCommandRuntime } from '../../node/runtimes/command/runtime.ts'
import { encodeProgram } from '../../protocol/command/program.ts'
import { command, grid, range } from '../../sdk/index.ts'
import { drain } from '../bare-slots.ts'
import { type Benchmark, type Sample, timed } from '../benchmark.ts'
import { startPair, untilAccepted } from '../pair.ts'

const SLOTS = 2
const MEMORY_MIB = 256
const TIMEOUT_MS = 60_000
/** A loop of the shell: every machine has one. */
const PROGRAM = ['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $i', 'loop', '{x}']

export const programs: Benchmark = {
  name: 'programs',
  about:
    'efficiency over two slots, one on each machine: the time of bare sandboxed programs / that of a job; and their rate',
  figures: {
    efficiency: { unit: '%', better: 'more', per: null, must: 90, tolerance: 0.1 },
    rate: { unit: '/s', better: 'more', per: 'spawns', tolerance: 0.5 },
  },
  rounds: { full: 5, quick: 2 },
  open: async ({ quick }) => {
    const units = quick ? 200 : 600
    const bare = openBarePrograms()
    const pair = await startPair([1, 1])
    const throughMesh = (count: number): Promise<number> =>
      timed(async () =>
        untilAccepted(
          await pair.mesh.map(command(PROGRAM), grid({ x: range(count) }), { memoryMiB: MEMORY_MIB }),
          count,
        ),
      )
    await bare.run(SLOTS)
    await throughMesh(SLOTS)
    return {
      round: async (): Promise<Sample> => {
        const before = await bare.run(units / 2)
        const measured = await throughMesh(units)
        const after = await bare.run(units / 2)
        return {
          efficiency: Math.min(100, (100 * (before + after)) / measured),
          rate: units / (measured / 1_000),
        }
      },
      [Symbol.asyncDispose]: async () => {
        await pair[Symbol.asyncDispose]()
        await bare[Symbol.asyncDispose]()
      },
    }
  },
}

function openBarePrograms() {
  const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
  const runtime = createCommandRuntime({ scratchDir })
  const source = encodeProgram({ v: 1, argv: PROGRAM, env: {}, stdin: null, inputs: null })
  const init = { source, seed: 0, cpus: 1, memoryMiB: MEMORY_MIB, timeoutMs: TIMEOUT_MS }
  const sandboxes = Array.from({ length: SLOTS }, () => runtime.open(init))
  return {
    /** So many units, dealt evenly to the slots. Milliseconds. */
    run: (units: number): Promise<number> => {
      const inputs = Array.from({ length: units / SLOTS }, (_, x) => ({ unit: x, params: JSON.stringify({ x }) }))
      return timed(() => Promise.all(sandboxes.map((sandbox) => drain(sandbox, inputs))))
    },
    [Symbol.asyncDispose]: async () => {
      await runtime.stop()
      rmSync(scratchDir, { recursive: true, force: true })
    },
  }
}
