import { z } from 'zod'
import { defineTask } from '../../../sdk/index.ts'

export default defineTask({
  url: import.meta.url,
  input: z.object({ n: z.number().max(100) }),
  output: z.object({ square: z.number().max(2_500) }),
  agree: { relative: 1e-9 },
  run: ({ n }) => {
    if (n === 13) throw new Error('unlucky')
    return { square: n ** 2 }
  },
})
