/**
 * What each way to verify costs and lets through, in simulated meshes with the real decision code.
 * `node bench/verification.ts [--quick] [--jobs 2] [--out FOLDER [--resume]]` prints tables; with a folder it writes
 * verification.jsonl (a line a case, as they are measured), verification.md and verification.svg.
 */

import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { type Case, measure, type Row, RULES } from '../test/verification/cases.ts'
import { plotFrontier } from './verification-plot.ts'
import { lengthTable, tablesOf } from './verification-table.ts'

const GOALS = [0.99, 0.999, 0.9999]
const BAD = [0.05, 0.2, 0.35]
const RATES = [0.01, 0.02, 0.1, 0.3, 1]
const COLD = 0
const WARM_CHECKS = 200
/** A hundred thousand units tell errors of one in ten thousand apart; a million show that size changes nothing. */
const SWEEPS = [
  { units: 20, peers: 20, repeats: 200, goals: GOALS, collusion: [0.01, 1], warm: [COLD, WARM_CHECKS] },
  { units: 1_000, peers: 50, repeats: 10, goals: GOALS, collusion: [0.01, 1], warm: [COLD, WARM_CHECKS] },
  { units: 100_000, peers: 1_000, repeats: 1, goals: GOALS, collusion: [0.01, 1], warm: [COLD] },
  { units: 1_000_000, peers: 10_000, repeats: 1, goals: [0.999], collusion: [0.01], warm: [COLD] },
]
const QUICK = [{ units: 10_000, peers: 100, repeats: 1, goals: GOALS, collusion: [0.01, 1], warm: [COLD, WARM_CHECKS] }]
/** Units a peer, at one goal and share of liars: how the cost falls with history. */
const LENGTHS = [
  { units: 20_000, peers: 1_000, repeats: 1 },
  { units: 100_000, peers: 1_000, repeats: 1 },
  { units: 500_000, peers: 500, repeats: 1 },
]

if (isMainThread) await main()
else parentPort?.on('message', (wanted: Case) => parentPort?.postMessage(measure(wanted)))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      resume: { type: 'boolean', default: false },
    },
  })
  const started = performance.now()
  const sweeps = casesOf(values.quick)
  const lengths = values.quick ? [] : lengthCases()
  const file = values.out === undefined ? null : join(values.out, 'verification.jsonl')
  const known = file !== null && values.resume && existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (file !== null) writeFileSync(file, known)
  const rows = await measureAll([...sweeps, ...lengths], Number(values.jobs), known, (line) => {
    if (file !== null) appendFileSync(file, line)
  })
  const [swept, byLength] = [rows.slice(0, sweeps.length), rows.slice(sweeps.length)]
  const tables = `${tablesOf(swept)}\n${lengthTable(byLength)}`
  console.log(tables)
  console.error(`${rows.length} cases in ${Math.round((performance.now() - started) / 1_000)} s`)
  if (values.out === undefined) return
  const largest = swept.filter(({ units, warm }) => warm === COLD && (units === 100_000 || values.quick))
  writeFileSync(join(values.out, 'verification.md'), tables)
  writeFileSync(join(values.out, 'verification.svg'), plotFrontier(largest))
}

function casesOf(quick: boolean): Case[] {
  const cases: Case[] = []
  const add = (rest: Omit<Case, 'seed'>) => cases.push({ ...rest, seed: cases.length + 1 })
  for (const { goals, collusion: ways, warm: histories, ...sweep } of quick ? QUICK : SWEEPS) {
    for (const [collusion, warm] of pairs(ways, histories)) {
      for (const [bad, rate] of pairs(BAD, RATES)) {
        for (const goal of goals) add({ ...sweep, rule: 'confidence', goal, bad, rate, collusion, warm })
        for (const rule of RULES)
          if (rule !== 'confidence') add({ ...sweep, rule, goal: 0, bad, rate, collusion, warm })
      }
    }
  }
  return cases
}

function lengthCases(): Case[] {
  return pairs(LENGTHS, RATES).map(([sweep, rate], seed) => {
    return { ...sweep, rule: 'confidence', goal: 0.999, bad: 0.2, rate, collusion: 0.01, warm: COLD, seed }
  })
}

/** The shortest first: a run that is cut short has measured most cases. `known`: lines of cases measured before. */
async function measureAll(cases: Case[], jobs: number, known: string, keep: (line: string) => void): Promise<Row[]> {
  const rows = new Map<number, Row>()
  for (const line of known.split('\n').filter(Boolean)) {
    const { at, ...row }: Row & { at: number } = JSON.parse(line)
    if (cases[at]?.seed === row.seed) rows.set(at, row)
  }
  const order = [...cases.keys()].filter((i) => !rows.has(i)).sort((a, b) => sizeOf(cases[a]) - sizeOf(cases[b]))
  const work = async () => {
    const worker = new Worker(new URL(import.meta.url))
    for (let i = order.shift(); i !== undefined; i = order.shift()) {
      worker.postMessage(cases[i])
      const [row] = await once(worker, 'message')
      rows.set(i, row)
      keep(`${JSON.stringify({ at: i, ...row })}\n`)
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
}

function pairs<A, B>(as: readonly A[], bs: readonly B[]): [A, B][] {
  return as.flatMap((a) => bs.map((b): [A, B] => [a, b]))
}

function sizeOf(wanted: Case | undefined): number {
  return wanted === undefined ? 0 : wanted.units * wanted.repeats
}
