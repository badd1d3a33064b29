/** How many of `n` random points of the unit square lie within the quarter circle. The mesh seeds Math.random. */

export default ({ n }: { n: number; batch: number }): { inside: number } => {
  let inside = 0
  for (let i = 0; i < n; i += 1) {
    const x = Math.random()
    const y = Math.random()
    if (x * x + y * y < 1) inside += 1
  }
  return { inside }
}
