/** Follows what a unit of an own job writes while it runs, from whichever peer runs it. */

import { setTimeout as wait } from 'node:timers/promises'
import { TalkootError } from '../../protocol/errors.ts'
import type { UnitExplanation } from '../../protocol/explanation.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { LOGS_PROTOCOL, tailAnswerSchema, type UnitOutput } from '../../protocol/tail.ts'
import { withoutControls } from '../../protocol/text.ts'
import { memoryChannels } from '../mesh/memory-channel.ts'
import type { Channel, Mesh } from '../mesh/mesh.ts'
import type { Worker } from '../worker/worker.ts'

type Components = {
  mesh: Pick<Mesh, 'open' | 'peerId'>
  worker: Pick<Worker, 'tail'>
  explain: { unit(job: string, unit: number): UnitExplanation }
  onError(error: unknown): void
}

export class UnitTails {
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
  }

  /**
   * From the last LOG_RING_BYTES of what the unit has written until it is decided; of copies that run at once, one after the other.
   * @param job its id, whole
   * @throws E_NOT_FOUND
   */
  async *follow(job: string, unit: number, signal: AbortSignal): AsyncGenerator<UnitOutput> {
    /** Peers whose attempt has been followed to its end. */
    const followed = new Set<string>()
    while (!signal.aborted) {
      const { state, attempts } = this.#components.explain.unit(job, unit)
      if (state === 'decided' || state === 'given-up') return
      const running = attempts.filter(({ holding }) => holding === 'running').map(({ peer }) => peer)
      for (const peer of followed) if (!running.includes(peer)) followed.delete(peer)
      const peer = running.find((id) => !followed.has(id))
      if (peer !== undefined && (yield* this.#tail(peer, { job, unit }, signal))) followed.add(peer)
      // It may not have begun there yet, or its end be on its way.
      await wait(LIMITS.PROGRESS_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Whether it ran there. */
  async *#tail(
    peer: string,
    request: { job: string; unit: number },
    signal: AbortSignal,
  ): AsyncGenerator<UnitOutput, boolean> {
    const texts = { stdout: new TextDecoder(), stderr: new TextDecoder() }
    let channel: Channel | null = null
    const leave = (): void => void channel?.close().catch(() => undefined)
    signal.addEventListener('abort', leave)
    try {
      channel = await this.#open(peer, signal)
      await channel.send(encodeFrame(request))
      for await (const frame of channel) {
        const answer = decodeFrame(tailAnswerSchema, frame)
        if (answer.t !== 'out') return answer.t === 'end'
        const text = withoutControls(texts[answer.stream].decode(answer.bytes, { stream: true }))
        if (text !== '') yield { peer, stream: answer.stream, text }
      }
      return true
    } catch (thrown) {
      // Another peer will run it, or this one be heard of again.
      this.#components.onError(TalkootError.from(thrown, 'E_FRAME'))
      return false
    } finally {
      signal.removeEventListener('abort', leave)
      leave()
    }
  }

  async #open(peer: string, signal: AbortSignal): Promise<Channel> {
    const { mesh, worker, onError } = this.#components
    if (peer !== mesh.peerId) {
      return await mesh.open(
        peer,
        LOGS_PROTOCOL,
        AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)]),
      )
    }
    const [mine, theirs] = memoryChannels(peer)
    worker.tail(theirs, peer).catch(onError)
    return mine
  }
}
