/** A small job of a task nobody has seen: from the call to the first result, and to the last. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { grid, range } from '../../sdk/index.ts'
import type { Benchmark, Sample } from '../benchmark.ts'
import { startPair } from '../pair.ts'

const UNITS = 20

export const freshJob: Benchmark = {
  name: 'fresh job',
  about: `${UNITS} units of a new task on a warm mesh: bundled, signed, written down, sent, sandboxes started, run`,
  figures: {
    'first result': { unit: 'ms', better: 'less', per: 'cpu', must: 300, tolerance: 0.7 },
    'last result': { unit: 'ms', better: 'less', per: 'cpu', tolerance: 0.7 },
  },
  rounds: { full: 9, quick: 3 },
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
    const pair = await startPair([1, 1])
    let tasks = 0
    const round = async (): Promise<Sample> => {
      const file = join(folder, `task-${tasks++}.ts`)
      writeFileSync(file, `export default ({ x }: { x: number }): number => x * ${tasks}\n`)
      const began = performance.now()
      await using job = await pair.mesh.map(file, grid({ x: range(UNITS) }))
      let first = 0
      for await (const _ of job) if (first === 0) first = performance.now() - began
      return { 'first result': first, 'last result': performance.now() - began }
    }
    // The first job opens sessions.
    await round()
    return {
      round,
      [Symbol.asyncDispose]: async () => {
        await pair[Symbol.asyncDispose]()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
}
