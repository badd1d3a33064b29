/** Squares x after `ms` of work: long enough for a test to interfere. */
export default function slowSquare({ x, ms }: { x: number; ms: number }): number {
  // Work, not waiting: tasks have no timers. About 250,000 steps a millisecond.
  let spent = 0
  for (let i = 0; i < ms * 250_000; i++) spent = (spent + i) % 7
  return x * x + 0 * spent
}
