/** Sends what a running unit writes to its submitter, as it comes; so many readers at a time. */

import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { type TailAnswer, tailRequestSchema } from '../../protocol/tail.ts'
import type { Channel } from '../mesh/mesh.ts'
import type { LiveOutputs, Ring } from './live-output.ts'

export class Tails {
  readonly #live: LiveOutputs
  readonly #stopping = new AbortController()
  #open = 0

  constructor(components: { live: LiveOutputs }) {
    this.#live = components.live
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** Serves one channel of a submitter until the unit or the channel ends. */
  async serve(channel: Channel, submitter: string): Promise<void> {
    try {
      const frames = channel[Symbol.asyncIterator]()
      const first = await frames.next()
      if (first.done === true) return
      const { job, unit } = decodeFrame(tailRequestSchema, first.value)
      const ring = this.#live.find(submitter, job, unit)
      if (ring === undefined) return await say(channel, { t: 'absent' })
      if (this.#open >= LIMITS.LOG_TAILS_MAX) throw new TalkootError('E_BUSY', 'too many units are watched here')
      await this.#send(channel, frames, ring)
    } catch (thrown) {
      const error = TalkootError.from(thrown, 'E_FRAME')
      channel.abort(error.code, error.message)
    } finally {
      await channel.close()
    }
  }

  /** Until the unit or the channel ends. */
  async #send(channel: Channel, frames: AsyncIterator<Uint8Array>, ring: Ring): Promise<void> {
    this.#open += 1
    try {
      const gone = new AbortController()
      // Whoever asks says nothing more: its next word is that it goes.
      const leaving = frames.next().then(
        () => gone.abort(),
        () => gone.abort(),
      )
      for await (const piece of ring.read(AbortSignal.any([gone.signal, this.#stopping.signal]))) {
        await say(channel, { t: 'out', ...piece })
      }
      if (!gone.signal.aborted) await say(channel, { t: 'end' })
      await channel.close()
      await leaving
    } finally {
      this.#open -= 1
    }
  }
}

const say = (channel: Channel, answer: TailAnswer): Promise<void> => channel.send(encodeFrame(answer))
