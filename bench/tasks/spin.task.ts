/** So many steps of arithmetic that no compiler can skip: work of a length the caller has measured. */
export default function spin({ steps }: { steps: number; x: number }): number {
  let value = 0.5
  for (let i = 0; i < steps; i++) value = 3.9 * value * (1 - value)
  return value
}
