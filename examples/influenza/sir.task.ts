/** One point of the sweep: how far the model with these rates is from the counts. */

import { defineTask } from 'talkoot'
import { sumOfSquares } from './model.ts'

export default defineTask({
  url: import.meta.url,
  run: ({ beta, gamma }: { beta: number; gamma: number }) => ({ r0: beta / gamma, sse: sumOfSquares(beta, gamma) }),
})
