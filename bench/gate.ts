/** Whether figures are worse than the stored baseline. Pure: `main.ts` measures, prints and ends the process. */

import { z } from 'zod'
import type { FigureInit } from './benchmark.ts'

/** A measured figure: medians of several rounds. */
export type Figure = FigureInit & {
  benchmark: string
  name: string
  value: number
  /** `value` against its yardstick, without a unit; `value` itself if it has none. */
  ratio: number
}

export const baselineSchema = z.strictObject({
  schema: z.literal('talkoot.bench/1'),
  /** Where it was measured, for the reader only. */
  machine: z.string(),
  ratios: z.record(z.string(), z.number().positive()),
})
export type Baseline = z.infer<typeof baselineSchema>

/** `new`: the baseline does not know it. `regressed` fails the run. */
export type Verdict = {
  figure: Figure
  /** How many times as good as the baseline: 1 is level, 0.5 half as good. Null: not in the baseline. */
  change: number | null
  verdict: 'level' | 'improved' | 'regressed' | 'new'
  /** Whether the design's number is reached; null where it names none. */
  reached: boolean | null
}

export const keyOf = ({ benchmark, name }: Pick<Figure, 'benchmark' | 'name'>): string => `${benchmark}: ${name}`

/** A rate against a rate; a time in operations of the yardstick; a figure without yardstick as it is. */
export function ratioOf(value: number, { unit, per }: FigureInit, yardstick: number | null): number {
  if (per === null || yardstick === null) return value
  return unit === 'ms' ? (value / 1_000) * yardstick : value / yardstick
}

export function judge(figures: readonly Figure[], baseline: Baseline): Verdict[] {
  return figures.map((figure) => {
    const { better, tolerance, must, value, ratio } = figure
    const reached = must === undefined ? null : better === 'more' ? value >= must : value <= must
    const before = baseline.ratios[keyOf(figure)]
    if (before === undefined) return { figure, change: null, verdict: 'new', reached }
    const change = better === 'more' ? ratio / before : before / ratio
    // As many times worse or better: a rate may fall to 1 / (1 + tolerance), a time grow to (1 + tolerance).
    // A figure that could not be measured is not good.
    const verdict = !(change >= 1 / (1 + tolerance)) ? 'regressed' : change > 1 + tolerance ? 'improved' : 'level'
    return { figure, change, verdict, reached }
  })
}

/** Known figures that were not measured keep their ratios. */
export function renewed(baseline: Baseline, figures: readonly Figure[], machine: string): Baseline {
  const measured = Object.fromEntries(figures.map((figure) => [keyOf(figure), Number(figure.ratio.toPrecision(4))]))
  const ratios = { ...baseline.ratios, ...measured }
  return {
    ...baseline,
    machine,
    ratios: Object.fromEntries(Object.entries(ratios).sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}
