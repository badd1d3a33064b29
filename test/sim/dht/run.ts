/**
 * Simulates meshes of growing size and writes the table and the plots: `node test/sim/dht/run.ts [--out docs/scale]
 * [--sizes 100,300,1000,3000,10000] [--seed 1] [--rule trie]`. About three minutes on one core, most of it for 10,000 peers.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { experiment, type Figures } from './experiment.ts'
import { growthOf } from './growth.ts'
import { picture } from './plots.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'docs/scale' },
    sizes: { type: 'string', default: '100,300,1000,3000,10000' },
    seed: { type: 'string', default: '1' },
    rule: { type: 'string', default: 'buckets' },
  },
})

const COLUMNS: [key: keyof Figures, title: string, unit: string][] = [
  ['joinMs', 'A newcomer finds 20 peers', 'ms, median'],
  ['lookupMs', 'A member hears of 20 matching peers', 'ms, median'],
  ['placementMs', 'A newcomer’s job is with 20 peers', 'ms, median'],
  ['joinMessages', 'Sent by a newcomer in 10 s', 'messages'],
  ['messagesPerMinute', 'Sent by each node', 'messages a minute'],
  ['hottestPerMinute', 'Asked of the busiest node', 'messages a minute'],
  ['lookupMessages', 'A lookup of 20 matching peers', 'messages'],
  ['placementFirstMs', 'A newcomer’s first units are placed', 'ms, median'],
  ['searchPerMinute', 'Of these, to search and to be found', 'messages a minute'],
  ['tableSize', 'Contacts in a routing table', 'contacts'],
  ['recordsOfKey', 'Records of the fullest key', 'records'],
  ['deadShare', 'Of the peers found, gone', '%'],
]
const PLOTTED = 6

const sizes = values.sizes.split(',').map(Number)
const rows: Figures[] = []
for (const peers of sizes) {
  const started = performance.now()
  rows.push(experiment({ seed: Number(values.seed), peers, rule: values.rule === 'trie' ? 'trie' : 'buckets' }))
  console.log(`${peers} peers: ${Math.round((performance.now() - started) / 1_000)} s`)
}

const points = (key: keyof Figures) => rows.map((row) => [row.peers, row[key]] as const)
const panels = COLUMNS.slice(0, PLOTTED).map(([key, title, unit]) => ({ title, unit, points: points(key) }))
await mkdir(values.out, { recursive: true })
await writeFile(join(values.out, 'growth.svg'), picture('How a talkoot mesh grows', panels))
await writeFile(join(values.out, 'growth.json'), `${JSON.stringify({ seed: Number(values.seed), rows }, null, 2)}\n`)
await writeFile(join(values.out, 'growth.md'), table())
console.log(table())

function table(): string {
  const head = ['', ...sizes.map((peers) => peers.toLocaleString('en-US')), 'a + b log₂N', 'R²', 'power']
  const lines = COLUMNS.map(([key, title, unit]) => {
    const scaled = points(key).map(([peers, value]) => [peers, unit === '%' ? 100 * value : value] as const)
    const { log, power } = growthOf(scaled)
    const law = `${short(log.a)} + ${short(log.b)} log₂N`.replace('+ -', '− ')
    return [`${title}, ${unit}`, ...scaled.map(([, value]) => short(value)), law, log.r2.toFixed(2), power.p.toFixed(2)]
  })
  const rowsOf = [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...lines]
  return `${rowsOf.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(2)))
}
