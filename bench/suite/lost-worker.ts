/** A worker is killed, or stops answering: how long until its unit runs again elsewhere. */

import { grid, list, Mesh } from '../../sdk/index.ts'
import { Lab, type NodeProcess, until } from '../../test/e2e/node-process.ts'
import { openBareSlots } from '../bare-slots.ts'
import { type Benchmark, type Sample, timed } from '../benchmark.ts'
import { spinTask } from '../tasks/tasks.ts'

const UNIT_MS = 500
/** What two runs of the unit differ by anyhow; less is told as this. */
const RESOLUTION_MS = 100
const DEADLINE_MS = 120_000

export const lostWorker: Benchmark = {
  name: 'lost worker',
  about: 'from the loss of the worker that runs a unit to the moment another begins it',
  figures: {
    'killed (SIGKILL)': { unit: 'ms', better: 'less', per: null, must: 3_000, tolerance: 4 },
    // Silence is believed after LEASE_MS.
    'frozen (SIGSTOP)': { unit: 'ms', better: 'less', per: null, tolerance: 0.5 },
  },
  rounds: { full: 3, quick: 1 },
  open: async () => {
    const lab = new Lab()
    const submitter = await lab.node('submitter', ['--cores', '0'])
    const worker = async (name: string) => lab.node(name, ['--cores', '1', '--join', await submitter.token()])
    const workers = [await worker('one'), await worker('other')]
    const mesh = await Mesh.connect({ home: submitter.home })
    await using bare = await openBareSlots(1)
    const steps = await bare.stepsFor(UNIT_MS)
    return {
      round: async (): Promise<Sample> => {
        await submitter.sees(3)
        const killed = await loseDuringUnit(mesh, workers, steps, 'SIGKILL')
        await killed.worker.start()
        await submitter.sees(3)
        const frozen = await loseDuringUnit(mesh, workers, steps, 'SIGSTOP')
        process.kill(frozen.worker.pid, 'SIGCONT')
        return { 'killed (SIGKILL)': killed.ms, 'frozen (SIGSTOP)': frozen.ms }
      },
      [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
    }
  },
}

/** One unit: whoever runs it is lost. What the unit itself takes is measured just before. */
async function loseDuringUnit(mesh: Mesh, workers: readonly NodeProcess[], steps: number, signal: NodeJS.Signals) {
  const submit = () => mesh.map(spinTask, grid({ steps: [steps], x: list(0) }))
  const unitMs = await timed(async () => {
    await using rehearsal = await submit()
    await rehearsal.collect()
  })
  await using job = await submit()
  let worker: NodeProcess | undefined
  await until('a worker to run the unit', DEADLINE_MS, async () => {
    for (const one of workers) {
      const { working } = await (await Mesh.connect({ home: one.home })).status()
      if (working.running > 0) worker = one
    }
    return worker !== undefined
  })
  if (worker === undefined) throw new Error('nobody runs the unit')
  process.kill(worker.pid, signal)
  const untilResult = await timed(() => job.collect())
  return { worker, ms: Math.max(RESOLUTION_MS, untilResult - unitMs) }
}
