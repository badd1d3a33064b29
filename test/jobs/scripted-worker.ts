/** A worker written line by line: it takes jobs and does with units what a test says. */

import type { Channel } from '../../node/mesh/mesh.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { signReceipt } from '../../protocol/receipt.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { type Attempt, type ToSubmitter, type ToWorker, toWorkerSchema } from '../../protocol/work.ts'
import type { Behaviour } from './laboratory.ts'

type Run = Extract<ToWorker, { t: 'run' }>

export type Act = {
  channel: Channel
  signer: Signer
  say(message: ToSubmitter | object): Promise<void>
  /** Ends of attempts with a good receipt. */
  tell(job: string, attempts: Attempt[]): Promise<void>
  /** What an honest worker would say. */
  square(run: Run): Attempt[]
}

/** `onRun` is called for each frame of units, `onMessage` for everything. Signs of life come with each frame. */
export function scripted(
  signer: Signer,
  script: {
    onRun?(act: Act, run: Run): Promise<void> | void
    onMessage?(act: Act, message: ToWorker): Promise<void> | void
    onOpen?(act: Act): Promise<void> | void
  },
): Behaviour {
  return async (channel) => {
    const say = (message: object) => channel.send(encodeFrame(message))
    const act: Act = {
      channel,
      signer,
      say,
      tell: async (job, attempts) => {
        const { signature } = await signReceipt(signer, job, attempts)
        await say({ t: 'results', job, attempts, signature })
      },
      square: ({ units }) => units.map(([unit]) => ({ unit, ok: true, value: String(unit * unit) })),
    }
    await script.onOpen?.(act)
    for await (const frame of channel) {
      const message = decodeFrame(toWorkerSchema, frame)
      await script.onMessage?.(act, message)
      if (message.t === 'job') await say({ t: 'accept', job: message.job })
      if (message.t === 'run') await script.onRun?.(act, message)
    }
  }
}

/** Answers each frame at once, as it should. */
export const honest = (signer: Signer): Behaviour =>
  scripted(signer, { onRun: (act, run) => act.tell(run.job, act.square(run)) })
