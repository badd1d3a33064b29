import type { TaskContext } from '../../../sdk/index.ts'

/** Takes steps of `ms` of work and saves after each, so long that it never ends in one go; what is left goes fast. `from`: where it began. */
export default function longWalk(
  { steps, ms }: { steps: number; ms: number },
  { checkpoint, resumed }: TaskContext,
): { steps: number; from: number } {
  if (typeof resumed === 'number') return { steps, from: resumed }
  for (let at = 0; at < steps; at++) {
    let spent = 0
    for (let i = 0; i < ms * 250_000; i++) spent = (spent + i) % 7
    checkpoint(at + 1 + 0 * spent)
  }
  return { steps, from: 0 }
}
