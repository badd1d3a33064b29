/**
 * `npm run bench`: runs the suite, prints figures and ratios, and ends with 1 if one is worse than `baseline.json`.
 *
 *     --only NAME   those whose name begins so; may be given again
 *     --quick       a tenth of the work
 *     --json        for programs
 *     --save        makes what was measured the baseline
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { baselineSchema, type Figure, judge, renewed } from './gate.ts'
import { tableOf } from './report.ts'
import { runBenchmark } from './run.ts'
import { SUITE } from './suite.ts'

const BASELINE = fileURLToPath(new URL('./baseline.json', import.meta.url))

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
  },
})
const chosen = SUITE.filter(({ name }) => options.only?.some((prefix) => name.startsWith(prefix)) ?? true)
if (chosen.length === 0) {
  console.error(`no benchmark is named so; there are: ${SUITE.map(({ name }) => name).join('; ')}`)
  process.exit(2)
}

const figures: Figure[] = []
for (const benchmark of chosen) {
  console.error(`${benchmark.name}: ${benchmark.about}`)
  const onRound = (_: number, sample: object) => console.error(`  ${JSON.stringify(sample)}`)
  figures.push(...(await runBenchmark(benchmark, { quick: options.quick, onRound })))
}

const baseline = baselineSchema.parse(JSON.parse(readFileSync(BASELINE, 'utf8')))
const verdicts = judge(figures, baseline)
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, Node.js ${process.versions.node}`
console.log(
  options.json
    ? JSON.stringify({ schema: 'talkoot.bench/1', machine, quick: options.quick, verdicts }, null, 2)
    : tableOf(verdicts),
)
if (options.save) writeFileSync(BASELINE, `${JSON.stringify(renewed(baseline, figures, machine), null, 2)}\n`)
const regressed = verdicts.filter(({ verdict }) => verdict === 'regressed')
if (regressed.length > 0 && !options.save) {
  console.error(`${regressed.length} of ${verdicts.length} figures are worse than the baseline of ${baseline.machine}`)
  process.exitCode = 1
}
