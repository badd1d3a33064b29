/** Trivial units, sustained: what is left when the work itself costs nothing. Encryption, signatures and ledger are on. */

import { grid, type MapOptions, range } from '../../sdk/index.ts'
import type { Benchmark, Rounds, Sample } from '../benchmark.ts'
import { memoryOf, type Pair, startPair } from '../pair.ts'
import { noopTask } from '../tasks/tasks.ts'

const WARM_UNITS = 20_000
/** The slowest stretch is looked for among stretches of this share of the job. */
const STRETCHES = 10

const figures: Benchmark['figures'] = {
  'units/s': { unit: '/s', better: 'more', per: 'cpu', must: 20_000, tolerance: 0.3 },
  'slowest tenth': { unit: '/s', better: 'more', per: 'cpu', tolerance: 0.5 },
  'submitter peak': { unit: 'MiB', better: 'less', per: null, must: 400, tolerance: 0.2 },
  'worker peak': { unit: 'MiB', better: 'less', per: null, must: 400, tolerance: 0.2 },
}

export const noop: Benchmark = {
  name: 'no-op',
  about: '1,000,000 trivial units, all of them across the wire: the submitter only submits, the worker has two slots',
  figures,
  rounds: { full: 1, quick: 1 },
  open: ({ quick }) => openRounds([0, 2], quick ? 100_000 : 1_000_000, {}),
}

export const noopRead: Benchmark = {
  name: 'no-op, read',
  about: 'the same, each result read by the SDK as it comes',
  figures,
  rounds: { full: 1, quick: 1 },
  open: ({ quick }) => openRounds([0, 2], quick ? 100_000 : 1_000_000, {}, { read: true }),
}

export const noopQuorum: Benchmark = {
  name: 'no-op, quorum 2',
  about: 'the same, each unit run on both machines and compared: 2,000,000 executions',
  figures: { ...figures, 'units/s': { unit: '/s', better: 'more', per: 'cpu', tolerance: 0.3 } },
  rounds: { full: 1, quick: 1 },
  open: ({ quick }) => openRounds([1, 1], quick ? 100_000 : 1_000_000, { verify: { quorum: 2 } }),
}

async function openRounds(
  cores: readonly [number, number],
  units: number,
  policy: MapOptions,
  { read = false }: { read?: boolean } = {},
): Promise<Rounds> {
  const pair = await startPair(cores)
  // Compilers and caches are warm in a job that is a million units long.
  await runJob(pair, WARM_UNITS, policy, read)
  return { round: () => runJob(pair, units, policy, read), [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() }
}

async function runJob(
  { mesh, submitter, worker }: Pair,
  units: number,
  policy: MapOptions,
  read: boolean,
): Promise<Sample> {
  const began = performance.now()
  await using job = await mesh.map(noopTask, grid({ x: range(units) }), policy)
  const marks: [atMs: number, accepted: number][] = [[0, 0]]
  const mark = (accepted: number) => marks.push([performance.now() - began, accepted])
  if (read) {
    let count = 0
    for await (const result of job) {
      if (result.status === 'accepted') count += 1
      if (count % Math.ceil(units / STRETCHES) === 0) mark(count)
    }
    mark(count)
  } else for await (const { accepted } of job.watch()) mark(accepted)
  const [totalMs, accepted] = marks.at(-1) ?? [0, 0]
  if (accepted !== units) throw new Error(`${accepted} of ${units} units were accepted`)
  return {
    'units/s': units / (totalMs / 1_000),
    'slowest tenth': slowestStretch(marks, units / STRETCHES),
    'submitter peak': memoryOf(submitter.pid).peakMiB,
    'worker peak': memoryOf(worker.pid).peakMiB,
  }
}

/** The least rate over any stretch of at least so many units, a second. */
function slowestStretch(marks: readonly [number, number][], stretch: number): number {
  let least = Number.POSITIVE_INFINITY
  let from = 0
  for (const [at, accepted] of marks) {
    let [begin, before] = marks[from] ?? [0, 0]
    if (accepted - before < stretch) continue
    // The shortest stretch that ends here.
    for (let next = marks[from + 1]; next !== undefined && accepted - next[1] >= stretch; next = marks[from + 1]) {
      from += 1
      ;[begin, before] = next
    }
    least = Math.min(least, (accepted - before) / ((at - begin) / 1_000))
  }
  return least
}
