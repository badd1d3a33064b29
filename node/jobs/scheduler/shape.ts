/**
 * How the times of a job's units spread, each as a multiple of what a unit takes on its peer on the average: so that
 * fast and slow peers tell of the same thing. Kept as the last SAMPLES_MAX of them.
 *
 * Beyond the longest seen nothing is known. There the times are taken to fall off like a Pareto distribution of shape
 * 2: what has run x is expected to run as long again.
 */

const SAMPLES_MAX = 256
/** What was never seen weighs as much as half a sample. */
const UNSEEN = 0.5
const SHAPE = 2

export class Shape {
  readonly #samples: number[] = []
  #next = 0
  /** Ascending, and the sum of each with all above it; null: to be worked out. */
  #sorted: { samples: number[]; above: number[] } | null = null

  add(sample: number): void {
    this.#samples[this.#next] = sample
    this.#next = (this.#next + 1) % SAMPLES_MAX
    this.#sorted = null
  }

  /** The chance that a unit takes longer than `x` mean times. */
  survival(x: number): number {
    const { samples } = this.#sort()
    const longer = samples.length - countUpTo(samples, x)
    const longest = samples.at(-1) ?? 1
    const share = (longer + UNSEEN) / (samples.length + UNSEEN)
    return longer > 0 || x <= longest ? share : share * (longest / x) ** SHAPE
  }

  /** The mean time left of a unit that has run for `x` mean times. */
  residual(x: number): number {
    const { samples, above } = this.#sort()
    const upTo = countUpTo(samples, x)
    const longer = samples.length - upTo
    const left = (above[upTo] ?? 0) - longer * x
    return (left + UNSEEN * x * (SHAPE - 1)) / (longer + UNSEEN)
  }

  #sort(): { samples: number[]; above: number[] } {
    if (this.#sorted !== null) return this.#sorted
    const samples = [...this.#samples].sort((a, b) => a - b)
    const above: number[] = []
    let sum = 0
    for (let i = samples.length - 1; i >= 0; i--) {
      sum += samples[i] ?? 0
      above[i] = sum
    }
    this.#sorted = { samples, above }
    return this.#sorted
  }
}

/** How many of the ascending samples are at most `x`. */
function countUpTo(samples: readonly number[], x: number): number {
  let [low, high] = [0, samples.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((samples[middle] ?? 0) <= x) low = middle + 1
    else high = middle
  }
  return low
}
