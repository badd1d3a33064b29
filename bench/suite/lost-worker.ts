/** A worker is killed, or stops answering: how long until its unit runs again elsewhere. */

import { fileURLToPath } from 'node:url'
import { grid, list, Mesh, taskAt } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from '../../test/e2e/node-process.ts'
import { openBareSlots } from '../bare-slots.ts'
import type { Benchmark, Sample } from '../benchmark.ts'

const task = taskAt<typeof import('../tasks/spin.task.ts')>(
  fileURLToPath(new URL('../tasks/spin.task.ts', import.meta.url)),
)

const UNIT_MS = 500
const DEADLINE_MS = 30_000

export const lostWorker: Benchmark = {
  name: 'lost worker',
  about: 'from the loss of the worker that runs a unit to the moment another begins it',
  figures: {
    'killed (SIGKILL)': { unit: 'ms', better: 'less', per: null, must: 3_000, tolerance: 1 },
    // Silence is believed after LEASE_MS.
    'frozen (SIGSTOP)': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
  },
  rounds: { full: 3, quick: 1 },
  open: async () => {
    const lab = new Lab()
    const submitter = await lab.node('submitter', ['--cores', '0'])
    const worker = async (name: string) => lab.node(name, ['--cores', '1', '--join', await submitter.token()])
    await worker('stays')
    const leaves = await worker('leaves')
    const mesh = await Mesh.connect({ home: submitter.home })
    await using bare = await openBareSlots(1)
    const steps = await bare.stepsFor(UNIT_MS)
    const lose = (signal: 'SIGKILL' | 'SIGSTOP') => loseDuringUnit({ mesh, submitter, leaves }, steps, signal)
    return {
      round: async (): Promise<Sample> => {
        const killed = await lose('SIGKILL')
        await leaves.start()
        const frozen = await lose('SIGSTOP')
        process.kill(leaves.pid, 'SIGCONT')
        return { 'killed (SIGKILL)': killed, 'frozen (SIGSTOP)': frozen }
      },
      [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
    }
  },
}

type Mates = { mesh: Mesh; submitter: NodeProcess; leaves: NodeProcess }

async function loseDuringUnit(
  { mesh, submitter, leaves }: Mates,
  steps: number,
  signal: NodeJS.Signals,
): Promise<number> {
  await submitter.sees(3)
  // Ranked, one unit goes to the peer that will leave; what it takes on the other one is measured in the same round.
  const runOn = (name: string) =>
    mesh.map(task, grid({ steps: [steps], x: list(0) }), { rank: `peer.name == "${name}" ? 1.0 : 0.0` })
  await using rehearsal = await runOn('stays')
  const unitMs = await timeOf(async () => {
    await rehearsal.collect()
  })
  await using job = await runOn('leaves')
  const victim = await Mesh.connect({ home: leaves.home })
  await until('the worker to run the unit', DEADLINE_MS, async () => (await victim.status()).working.running > 0)
  process.kill(leaves.pid, signal)
  const untilResult = await timeOf(async () => {
    await job.collect()
  })
  return Math.max(1, untilResult - unitMs)
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
