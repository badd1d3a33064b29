/** One way to misbehave for each name, and one to behave. */
export default function hostile({ act }: { act: string }): unknown {
  switch (act) {
    case 'throw':
      throw new Error('the model diverged')
    case 'loop':
      for (;;) Math.sqrt(2)
    case 'allocate': {
      const held: Float64Array[] = []
      for (;;) held.push(new Float64Array(1e6).fill(1))
    }
    case 'nan':
      return { rate: [1, Number.NaN] }
    case 'function':
      return () => 1
    case 'cycle': {
      const loop: { self?: unknown } = {}
      loop.self = loop
      return loop
    }
    case 'huge':
      return 'x'.repeat(100_000_000)
    case 'never':
      return new Promise(() => undefined)
    case 'recurse':
      return hostile({ act: 'recurse' })
    default:
      return 'well'
  }
}
