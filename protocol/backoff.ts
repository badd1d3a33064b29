/**
 * How long to wait before the next try: twice as long with each failure, up to a bound. Anything from half of that to all of it, so that
 * those who failed together do not come back together.
 */
export function backoffMs(
  failures: number,
  { firstMs, longestMs, random }: { firstMs: number; longestMs: number; random(): number },
): number {
  return Math.min(firstMs * 2 ** failures, longestMs) * (0.5 + random() / 2)
}
