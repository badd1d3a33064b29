/** The same task in the same sandboxes without a mesh around them: the ideal that efficiencies are measured against. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createJsRuntime } from '../node/runtimes/js/runtime.ts'
import type { Sandbox, UnitInput } from '../node/runtimes/runtime.ts'
import { bundleTask } from '../sdk/bundle.ts'
import { timed } from './benchmark.ts'

const TASK = fileURLToPath(new URL('./tasks/spin.task.ts', import.meta.url))
const DEADLINE_MS = 240_000
const CALIBRATION_STEPS = 3_000_000
const CALIBRATIONS = 5

type BareSlots = AsyncDisposable & {
  /** The steps that one unit of so many milliseconds takes while all slots work. */
  stepsFor(unitMs: number): Promise<number>
  /** Runs so many units, dealt evenly to the slots, each slot's in one call. Milliseconds. */
  run(units: number, steps: number): Promise<number>
}

export async function openBareSlots(slots: number): Promise<BareSlots> {
  const scratchDir = mkdtempSync(join(tmpdir(), 'talkoot-bench-'))
  const runtime = createJsRuntime({ scratchDir })
  const { source } = await bundleTask(TASK)
  await runtime.probe(AbortSignal.timeout(DEADLINE_MS))
  const init = { source: new TextDecoder().decode(source), seed: 0, cpus: 1, memoryMiB: 256, timeoutMs: DEADLINE_MS }
  const sandboxes = Array.from({ length: slots }, () => runtime.open(init))
  const run = (units: number, steps: number): Promise<number> => {
    const inputs = Array.from({ length: units }, (_, x) => ({ unit: x, params: JSON.stringify({ steps, x }) }))
    const dealtTo = (slot: number) => inputs.filter(({ unit }) => unit % slots === slot)
    return timed(() => Promise.all(sandboxes.map((sandbox, slot) => drain(sandbox, dealtTo(slot)))))
  }
  // Starts the processes and compiles the loop.
  await run(slots, CALIBRATION_STEPS)
  return {
    run,
    stepsFor: async (unitMs) => {
      const units = 4 * slots
      // The fastest of some: whoever else works here makes steps look slow, and units then too easy.
      let perUnitMs = Number.POSITIVE_INFINITY
      for (let i = 0; i < CALIBRATIONS; i++) {
        perUnitMs = Math.min(perUnitMs, (await run(units, CALIBRATION_STEPS)) / (units / slots))
      }
      return Math.round((CALIBRATION_STEPS * unitMs) / perUnitMs)
    },
    [Symbol.asyncDispose]: async () => {
      await runtime.stop()
      rmSync(scratchDir, { recursive: true, force: true })
    },
  }
}

/** Runs them and looks that each one ended well. */
export async function drain(sandbox: Sandbox, units: readonly UnitInput[]): Promise<void> {
  let ended = 0
  for await (const attempts of sandbox.run(units, AbortSignal.timeout(DEADLINE_MS))) {
    for (const attempt of attempts) if (!attempt.ok) throw new Error(`a bare unit failed: ${attempt.message}`)
    ended += attempts.length
  }
  if (ended !== units.length) throw new Error(`${ended} of ${units.length} bare units ended`)
}
