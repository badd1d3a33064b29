/** From the call of `talkoot up` to a node that answers. */

import { Lab } from '../../test/e2e/node-process.ts'
import { type Benchmark, type Sample, timed } from '../benchmark.ts'
import { memoryOf } from '../pair.ts'

export const nodeStart: Benchmark = {
  name: 'node start',
  about: '`talkoot up` on a new state folder and again on the same, until `talkoot status` answers',
  figures: {
    first: { unit: 'ms', better: 'less', per: 'cpu', tolerance: 0.5 },
    again: { unit: 'ms', better: 'less', per: 'cpu', tolerance: 0.5 },
    memory: { unit: 'MiB', better: 'less', per: null, tolerance: 0.2 },
  },
  rounds: { full: 3, quick: 1 },
  open: async () => ({
    round: async (): Promise<Sample> => {
      await using lab = new Lab()
      const began = performance.now()
      const node = await lab.node('node', ['--cores', '2'])
      const first = performance.now() - began
      await node.kill('SIGTERM')
      const again = await timed(() => node.start())
      return { first, again, memory: memoryOf(node.pid).nowMiB }
    },
    [Symbol.asyncDispose]: async () => undefined,
  }),
}
