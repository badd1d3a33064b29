/** Some ten milliseconds of work. */
export default ({ n }: { n: number }): number => {
  let sum = 0
  for (let i = 0; i < 400_000; i += 1) sum += Math.sin(n + i) > 0 ? 1 : 0
  return sum - sum + n
}
