/** What was measured, and the page about it. Pure. */

import type { Workload } from './engine.ts'

type Rate = { median: number; all: number[] }
export type Measured = { name: string; version: string; perSecond: Partial<Record<Workload, Rate>> }

export type PeersReport = {
  schema: 'talkoot.bench-peers/1'
  machine: string
  system: string
  node: string
  rounds: number
  /** One /bin/true after the other, from one process. */
  bareSpawnsPerSecond: number
  /** talkoot first. */
  engines: Measured[]
  missing: { name: string; why: string }[]
}

const SLOTS = 2
/** Those that the tenfold claim is about; HyperQueue starts processes and is held to its own terms. */
const RIVALS = ['Dask', 'Ray', 'Celery', 'GNU parallel']

const medianOf = (engine: Measured | undefined, workload: Workload): number | null =>
  engine?.perSecond[workload]?.median ?? null

/** Share of the ideal: two slots that do nothing but the work. */
export function efficiencyOf(engine: Measured, workload: '10 ms' | '50 ms'): number | null {
  const rate = medianOf(engine, workload)
  return rate === null ? null : (rate * Number.parseInt(workload, 10)) / 1_000 / SLOTS
}

/** Talkoot's trivial units a second against the best of the rivals', or null if one is not there. */
export function lead({ engines }: PeersReport): { rival: Measured; ratio: number } | null {
  const own = medianOf(engines[0], 'no-op')
  const rivals = engines.filter(({ name }) => RIVALS.some((rival) => name.startsWith(rival)))
  const rival = rivals.toSorted((a, b) => (medianOf(b, 'no-op') ?? 0) - (medianOf(a, 'no-op') ?? 0))[0]
  const best = medianOf(rival, 'no-op')
  return own === null || rival === undefined || best === null ? null : { rival, ratio: own / best }
}

export function pageOf(report: PeersReport): string {
  const { engines, missing, bareSpawnsPerSecond } = report
  const own = medianOf(engines[0], 'no-op')
  const rows = engines.map((engine) => [
    engine.name,
    engine.version,
    rate(medianOf(engine, 'no-op')),
    own === null ? '' : times(medianOf(engine, 'no-op'), own),
    percent(efficiencyOf(engine, '10 ms')),
    percent(efficiencyOf(engine, '50 ms')),
    rate(medianOf(engine, 'process')),
    rate(medianOf(engine, 'no-op, batched by hand')),
  ])
  const head = ['engine', 'version', 'no-op /s', 'talkoot is', '10 ms', '50 ms', 'process /s', 'batched by hand /s']
  const ahead = lead(report)
  return [
    '# Side by side',
    '',
    `${report.machine}; ${report.system}; Node.js ${report.node}. ${report.rounds === 1 ? 'One round' : `Medians of ${report.rounds} interleaved rounds`}.`,
    'What each column is, how each engine is set, and what cannot be compared: [README](../README.md).',
    '',
    ...table(head, rows),
    '',
    `One process starting \`/bin/true\` again and again: ${rate(bareSpawnsPerSecond)} a second.`,
    ...(ahead === null
      ? []
      : [
          `Best of Dask, Ray, Celery and GNU parallel: ${ahead.rival.name}; talkoot does ${ahead.ratio.toFixed(1)} times as many.`,
        ]),
    ...missing.map(({ name, why }) => `Not measured: ${name}: ${why}.`),
    '',
    '![plot](peers.svg)',
    '',
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i < 2 ? '---' : '---:'))), ...rows.map(line)]
}

const rate = (value: number | null): string => (value === null ? 'n/a' : Math.round(value).toLocaleString('en-US'))
const percent = (value: number | null): string => (value === null ? 'n/a' : `${(100 * value).toFixed(1)}%`)
const times = (value: number | null, own: number): string => (value === null ? '' : `${(own / value).toFixed(1)}x`)
