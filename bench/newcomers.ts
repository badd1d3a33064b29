/**
 * `npm run bench:newcomers`: a hundred real nodes, each a process, on this machine; how soon a newcomer finds 20 matching peers, with
 * all there and with 30 killed and 10 stopped, and when the dead are gone from `peers`. Ends with 1 past 2 s, 3 s (medians) or a minute.
 *
 *     --nodes N --newcomers N --wanted N --killed N --stopped N --at-once N --dht full|light
 *     --save        keeps the figures in newcomers.json
 */

import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measureNewcomers, median } from '../test/scale/newcomers.ts'

const RESULTS = fileURLToPath(new URL('./newcomers.json', import.meta.url))
const BOUNDS_MS = { whole: 2_000, reduced: 3_000, gone: 60_000 }

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '100' },
    newcomers: { type: 'string', default: '5' },
    wanted: { type: 'string', default: '20' },
    killed: { type: 'string', default: '30' },
    stopped: { type: 'string', default: '10' },
    'at-once': { type: 'string', default: '2' },
    dht: { type: 'string', default: 'light' },
    save: { type: 'boolean', default: false },
  },
})
const plan = {
  nodes: Number(values.nodes),
  newcomers: Number(values.newcomers),
  wanted: Number(values.wanted),
  killed: Number(values.killed),
  stopped: Number(values.stopped),
  atOnce: Number(values['at-once']),
  dht: values.dht === 'full' ? ('full' as const) : ('light' as const),
}
const began = performance.now()
const report = await measureNewcomers(plan, (line) => {
  console.error(`${String(Math.round((performance.now() - began) / 1_000)).padStart(4)} s  ${line}`)
})
const medians = { whole: median(report.whole.found), reduced: median(report.reduced.found), gone: report.goneMs }
console.log(JSON.stringify({ plan, medians, report }))
if (values.save) {
  const [cpu] = cpus()
  const machine = { cores: cpus().length, cpu: cpu?.model ?? '', node: process.version }
  writeFileSync(RESULTS, `${JSON.stringify({ machine, plan, medians, report }, null, 2)}\n`)
}
const late = Object.entries(BOUNDS_MS).filter(([what, most]) => !(medians[what as keyof typeof medians] < most))
for (const [what, most] of late) console.error(`${what}: not within ${most} ms`)
process.exitCode = late.length === 0 ? 0 : 1
