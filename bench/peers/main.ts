/**
 * `npm run bench:peers`: the same workloads through talkoot and whatever else is installed, on the same cores in one run.
 * Rounds are interleaved, and only one engine exists at a time. README.md says what is fair about it and what is not.
 *
 *     --rounds N    of each engine; medians are reported. Default 3
 *     --only NAME   engines whose name begins so; may be given again
 *     --workload NAME   workloads whose name begins so; may be given again
 *     --out FOLDER  where the results go. Default: bench/peers/results
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { medianOf } from '../benchmark.ts'
import { measureYardstick } from '../yardsticks.ts'
import { type Engine, PEERS, type Running, WORKLOADS, type Workload } from './engine.ts'
import { plotOf } from './plot.ts'
import { type Measured, type PeersReport, pageOf } from './results.ts'
import { TALKOOT, TALKOOT_QUORUM } from './talkoot.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true },
    workload: { type: 'string', multiple: true },
    out: { type: 'string', default: fileURLToPath(new URL('./results', import.meta.url)) },
  },
})

/** The first run of each engine, which warms it; the next are longer until one has lasted. */
const FIRST: Record<Workload, number> = {
  'no-op': 500,
  '10 ms': 40,
  '50 ms': 16,
  process: 60,
  'no-op, batched by hand': 20_000,
}
const STILL_GROWING = 1.25
/** Trivial units are compared by what an engine sustains, so all of them are given longer to reach it. */
const SUSTAINED_SECONDS = 10
/** The longest run. */
const COUNT_MAX: Record<Workload, number> = {
  'no-op': 1_000_000,
  '10 ms': 600,
  '50 ms': 120,
  process: 5_000,
  'no-op, batched by hand': 2_000_000,
}

const wanted = [TALKOOT, TALKOOT_QUORUM, ...PEERS].filter(
  ({ name }) => options.only?.some((prefix) => name.startsWith(prefix)) ?? true,
)
const workloads = WORKLOADS.filter((name) => options.workload?.some((prefix) => name.startsWith(prefix)) ?? true)
const missing = wanted.flatMap((engine) => {
  const why = engine.missing()
  return why === null ? [] : [{ name: engine.name, why }]
})
for (const { name, why } of missing) console.error(`not measured: ${name}: ${why}`)
const engines = wanted.filter(({ name }) => !missing.some((one) => one.name === name))

const rates = new Map<Engine, Map<Workload, number[]>>(engines.map((engine) => [engine, new Map()]))
const versions = new Map<Engine, string>()
const spawns: number[] = []
for (let round = 0; round < Number(options.rounds); round++) {
  spawns.push(await measureYardstick('spawns'))
  // Nobody is always first.
  for (const engine of round % 2 === 0 ? engines : engines.toReversed()) await measure(engine)
}

async function measure(engine: Engine): Promise<void> {
  await using running = await engine.start()
  versions.set(engine, running.version)
  for (const workload of workloads.filter((one) => engine.workloads.includes(one))) {
    const lastingSeconds = workload === 'no-op' ? SUSTAINED_SECONDS : engine.lastingSeconds
    const { count, seconds } = await lastingRun(running, workload, lastingSeconds)
    const measured = count / seconds
    const known = rates.get(engine)?.get(workload) ?? []
    rates.get(engine)?.set(workload, [...known, measured])
    console.error(`${engine.name}: ${workload}: ${count} units, ${measured.toFixed(measured < 100 ? 1 : 0)}/s`)
  }
}

/** As long as a longer run has a clearly better rate, what is fixed for each run still counts too much. */
async function lastingRun(running: Running, workload: Workload, lastingSeconds: number) {
  await running.run(workload, FIRST[workload])
  let before = 0
  for (let count = FIRST[workload]; ; ) {
    const seconds = await running.run(workload, count)
    const rate = count / seconds
    const steady = seconds >= 0.7 * lastingSeconds && rate < STILL_GROWING * before
    if (steady || count >= COUNT_MAX[workload] || seconds >= 5 * lastingSeconds) return { count, seconds }
    before = rate
    const factor = Math.min(10, Math.max(2, lastingSeconds / seconds))
    count = Math.min(COUNT_MAX[workload], Math.ceil(count * factor))
  }
}

const measured = engines.map(
  (engine): Measured => ({
    name: engine.name,
    version: versions.get(engine) ?? '',
    perSecond: Object.fromEntries(
      [...(rates.get(engine) ?? [])].map(([workload, all]) => [workload, { median: medianOf(all), all }]),
    ),
  }),
)
const report: PeersReport = {
  schema: 'talkoot.bench-peers/1',
  machine: `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform,
  node: process.versions.node,
  rounds: Number(options.rounds),
  bareSpawnsPerSecond: medianOf(spawns),
  engines: measured,
  missing,
}
mkdirSync(options.out, { recursive: true })
writeFileSync(join(options.out, 'peers.json'), `${JSON.stringify(report, null, 2)}\n`)
writeFileSync(join(options.out, 'peers.md'), pageOf(report))
writeFileSync(join(options.out, 'peers.svg'), plotOf(report))
console.log(pageOf(report))
