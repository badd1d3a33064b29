/** The sweep: every pair of rates on two peers that must agree, of at most three. */

import { pipe } from 'it-pipe'
import { grid, type JobSummary, linspace, type Mesh, type Result, toCsv, toJsonl } from 'talkoot'
import sir from './sir.task.ts'
import { type Fit, Surface } from './surface.ts'

type Rates = { beta: number; gamma: number }
type SirResult = Result<Rates, { r0: number; sse: number }>

/** Per day; steps of 0.005 and 0.001 give both rates to three digits. 17,061 points. */
const BETA = { from: 1.4, to: 2, count: 121 }
const GAMMA = { from: 0.38, to: 0.52, count: 141 }

export type FitOptions = {
  /** Files to write the table to. */
  csv: string
  jsonl: string
  onProgress?: ((progress: JobSummary) => void) | undefined
  signal?: AbortSignal | undefined
}

export type FitOutcome = {
  units: number
  accepted: number
  failed: number
  executions: number
  disagreements: number
  best: Fit
  surface: Surface
}

export async function fitInfluenza(mesh: Mesh, options: FitOptions): Promise<FitOutcome> {
  const surface = new Surface(values(BETA), values(GAMMA))
  const sweep = grid({
    beta: linspace(BETA.from, BETA.to, BETA.count),
    gamma: linspace(GAMMA.from, GAMMA.to, GAMMA.count),
  })
  const submission = { name: 'influenza', verify: { quorum: 2, of: 3 }, ...signalOf(options) }
  await using job = await mesh.map(sir, sweep, submission)
  const watching = (async () => {
    for await (const progress of job.watch()) options.onProgress?.(progress)
  })()
  await Promise.all([
    watching,
    pipe(job, (results: AsyncIterable<SirResult>) => gather(results, surface), toJsonl(options.jsonl)),
  ])
  await pipe(job.results({ order: 'input' }), toCsv(options.csv))
  const { units, accepted, failed, executions, disagreements } = await job.progress()
  if (surface.best === undefined) throw new Error(`none of the ${units} points was computed`)
  return { units, accepted, failed, executions, disagreements, best: surface.best, surface }
}

/** Passes results on and keeps what the picture needs. */
async function* gather(results: AsyncIterable<SirResult>, surface: Surface): AsyncGenerator<SirResult> {
  for await (const result of results) {
    if (result.status === 'accepted') surface.add(result.unit, { ...result.params, ...result.value })
    yield result
  }
}

const values = ({ from, to, count }: typeof BETA): number[] =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1))

const signalOf = ({ signal }: FitOptions): { signal?: AbortSignal } => (signal === undefined ? {} : { signal })
