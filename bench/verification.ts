/**
 * What each way to verify costs and lets through: `node bench/verification.ts [--quick] [--out FOLDER]`. Simulated
 * meshes, the real decision code, as many processes as `--jobs` says. Prints a table a case group; with --out writes verification.json,
 * verification.md and verification.svg.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { type Case, measure, type Row, RULES } from '../test/verification/cases.ts'
import { plotFrontier } from './verification-plot.ts'
import { tablesOf } from './verification-table.ts'

const GOALS = [0.99, 0.999, 0.9999]
const BAD = [0.05, 0.2, 0.35]
const RATES = [0.01, 0.02, 0.1, 0.3, 1]
const COLLUSION = [0.01, 1]
/** Units, peers, repeats. */
const SWEEPS = [
  { units: 20, peers: 20, repeats: 200 },
  { units: 1_000, peers: 50, repeats: 10 },
  { units: 1_000_000, peers: 10_000, repeats: 1 },
]
/** Units a peer, at one goal and share of liars: how the cost falls with history. */
const LENGTHS = [
  { units: 20_000, peers: 1_000, repeats: 1 },
  { units: 100_000, peers: 1_000, repeats: 1 },
  { units: 500_000, peers: 500, repeats: 1 },
]
const WARM_CHECKS = 200

if (isMainThread) await main()
else parentPort?.on('message', (wanted: Case) => parentPort?.postMessage(measure(wanted)))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      jobs: { type: 'string', default: '2' },
    },
  })
  const started = performance.now()
  const rows = await measureAll(casesOf(values.quick), Number(values.jobs))
  const tables = tablesOf(rows)
  console.log(tables)
  console.error(`${rows.length} cases in ${Math.round((performance.now() - started) / 1_000)} s`)
  if (values.out === undefined) return
  writeFileSync(join(values.out, 'verification.json'), `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`)
  writeFileSync(join(values.out, 'verification.md'), tables)
  writeFileSync(
    join(values.out, 'verification.svg'),
    plotFrontier(rows.filter(({ units }) => units >= 1_000_000 || values.quick)),
  )
}

function casesOf(quick: boolean): Case[] {
  const cases: Case[] = []
  const sweeps = quick ? [{ units: 10_000, peers: 100, repeats: 1 }] : SWEEPS
  for (const sweep of sweeps) {
    for (const warm of sweep.units >= 1_000_000 ? [0] : [0, WARM_CHECKS]) {
      for (const collusion of COLLUSION) {
        for (const bad of BAD) {
          for (const rate of RATES) {
            for (const rule of RULES) {
              for (const goal of rule === 'confidence' ? GOALS : [0]) {
                cases.push({ ...sweep, rule, goal, bad, rate, collusion, warm, seed: cases.length + 1 })
              }
            }
          }
        }
      }
    }
  }
  for (const sweep of quick ? [] : LENGTHS) {
    for (const rate of RATES) {
      const seed = cases.length + 1
      cases.push({ ...sweep, rule: 'confidence', goal: 0.999, bad: 0.2, rate, collusion: 0.01, warm: 0, seed })
    }
  }
  return cases
}

/** The longest first, so that the last to end are short. */
async function measureAll(cases: Case[], jobs: number): Promise<Row[]> {
  const order = cases.map((_, i) => i).sort((a, b) => sizeOf(cases[b]) - sizeOf(cases[a]))
  const rows = new Map<number, Row>()
  const work = async () => {
    const worker = new Worker(new URL(import.meta.url))
    for (let i = order.shift(); i !== undefined; i = order.shift()) {
      worker.postMessage(cases[i])
      rows.set(i, await once(worker))
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
}

function sizeOf(wanted: Case | undefined): number {
  return wanted === undefined ? 0 : wanted.units * wanted.repeats
}

function once(worker: Worker): Promise<Row> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}
