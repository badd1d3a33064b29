/** A chaotic walk over sums, products and functions: a difference in the last bit is one in all of them soon. */
export default function chaos({ x, steps }: { x: number; steps: number }): number[] {
  let at = x
  let sum = 0
  for (let i = 0; i < steps; i++) {
    at = Math.abs(Math.sin(9 * Math.exp(at) + Math.log(1.1 + at) - at * (at - 0.1) + (1 + at) ** 13.7 * Math.tanh(at)))
    sum = sum * 0.99 + Math.cos(at)
  }
  return [at, sum]
}
