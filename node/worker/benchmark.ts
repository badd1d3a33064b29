/** A short measured score of one slot: the same arithmetic in the same sandbox on every machine. */

import type { Runtime } from '../runtimes/runtime.ts'

/** Steps of a logistic map: dependent floating-point operations that no compiler can skip. */
const STEPS = 20_000_000
/** What a slot of a 2020s laptop needs for them, milliseconds; such a slot has speed 1. */
const REFERENCE_MS = 60
const ROUNDS = 3

const SOURCE = `exports.default = ({ steps }) => { let x = 0.5; for (let i = 0; i < steps; i++) x = 3.9 * x * (1 - x); return x }`

/** Speed of one slot: 1 is the reference, 2 is twice as fast. The best of some rounds, for others may be busy too. */
export async function measureSpeed(runtime: Runtime, now: () => number, signal: AbortSignal): Promise<number> {
  const sandbox = runtime.open({ source: SOURCE, seed: 0, cpus: 1, memoryMiB: 64, timeoutMs: 30_000 })
  const params = JSON.stringify({ steps: STEPS })
  let best = Number.POSITIVE_INFINITY
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const began = now()
      for await (const [attempt] of sandbox.run([{ unit: round, params }], signal)) {
        if (attempt?.ok !== true) return 1
      }
      // The first round starts the process and compiles the loop.
      if (round > 0) best = Math.min(best, now() - began)
    }
  } finally {
    await sandbox.close()
  }
  return Math.max(0.001, Math.round((REFERENCE_MS / best) * 1_000) / 1_000)
}
