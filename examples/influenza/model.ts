/**
 * The SIR model (Kermack and McKendrick 1927) of the influenza outbreak in an English boarding school, January and
 * February 1978 (British Medical Journal, 4 March 1978, page 587; Murray, Mathematical Biology I, 2002, section 10.2).
 */

/** Boys in the school. */
const BOYS = 763

/** Boys confined to bed, one count a day, day 0 first. */
export const IN_BED: readonly number[] = [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]

/** One hour. Halving it changes the sum of squares in its seventh digit. */
const STEPS_PER_DAY = 24

/**
 * Infected boys at the start of each day, or `perDay` times a day, from S(0) = 760, I(0) = 3, R(0) = 0:
 * dS/dt = -beta S I / N, dI/dt = beta S I / N - gamma I, by the classical Runge-Kutta method.
 * `beta` and `gamma` are per day.
 */
export function infected(beta: number, gamma: number, days: number, perDay: 1 | 24 = 1): number[] {
  const h = 1 / STEPS_PER_DAY
  const infections = (s: number, i: number): number => (beta * s * i) / BOYS
  let i = IN_BED[0] ?? 0
  let s = BOYS - i
  const series = [i]
  for (let step = 1; step <= (days - 1) * STEPS_PER_DAY; step += 1) {
    const n1 = infections(s, i)
    const i1 = n1 - gamma * i
    const n2 = infections(s - (h / 2) * n1, i + (h / 2) * i1)
    const i2 = n2 - gamma * (i + (h / 2) * i1)
    const n3 = infections(s - (h / 2) * n2, i + (h / 2) * i2)
    const i3 = n3 - gamma * (i + (h / 2) * i2)
    const n4 = infections(s - h * n3, i + h * i3)
    const i4 = n4 - gamma * (i + h * i3)
    s -= (h / 6) * (n1 + 2 * n2 + 2 * n3 + n4)
    i += (h / 6) * (i1 + 2 * i2 + 2 * i3 + i4)
    if (step % (STEPS_PER_DAY / perDay) === 0) series.push(i)
  }
  return series
}

/** Sum of squared differences between the model and the counts. */
export function sumOfSquares(beta: number, gamma: number): number {
  const model = infected(beta, gamma, IN_BED.length)
  return IN_BED.reduce((sum, count, day) => sum + ((model[day] ?? 0) - count) ** 2, 0)
}
