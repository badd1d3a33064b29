/** Runs a benchmark: yardsticks and rounds in turn, so that both see the same machine, and medians of both. */

import { type Benchmark, medianOf, type Sample } from './benchmark.ts'
import { type Figure, ratioOf } from './gate.ts'
import { measureYardstick, type YardstickName } from './yardsticks.ts'

export async function runBenchmark(
  benchmark: Benchmark,
  init: { quick: boolean; onRound?: (round: number, sample: Sample) => void },
): Promise<Figure[]> {
  const figures = Object.entries(benchmark.figures)
  const yardsticks = new Map<YardstickName, number[]>()
  for (const [, { per }] of figures) if (per !== null) yardsticks.set(per, [])
  const measureYardsticks = async () => {
    for (const [name, rates] of yardsticks) rates.push(await measureYardstick(name))
  }
  const samples: Sample[] = []
  await using rounds = await benchmark.open(init)
  for (let round = 0; round < benchmark.rounds[init.quick ? 'quick' : 'full']; round++) {
    await measureYardsticks()
    const sample = await rounds.round()
    samples.push(sample)
    init.onRound?.(round, sample)
  }
  await measureYardsticks()
  return figures.map(([name, figure]) => {
    const value = medianOf(samples.map((sample) => sample[name] ?? Number.NaN))
    const yardstick = figure.per === null ? null : medianOf(yardsticks.get(figure.per) ?? [])
    return { ...figure, benchmark: benchmark.name, name, value, ratio: ratioOf(value, figure, yardstick) }
  })
}
