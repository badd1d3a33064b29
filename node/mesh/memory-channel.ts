/** A channel within one process: how a node gives work to itself, by the same protocol as to any other. */

import type { ErrorCode } from '../../protocol/errors.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Channel } from './mesh.ts'

/** Two ends: what is sent into one comes out of the other. `peer` is the same on both, as both are this node. */
export function memoryChannels(peer: string): [Channel, Channel] {
  const there = new Lane()
  const back = new Lane()
  return [new End(peer, there, back), new End(peer, back, there)]
}

class End implements Channel {
  readonly peer: string
  readonly #out: Lane
  readonly #in: Lane

  constructor(peer: string, out: Lane, into: Lane) {
    this.peer = peer
    this.#out = out
    this.#in = into
  }

  send(frame: Uint8Array): Promise<void> {
    return this.#out.put(frame)
  }

  async close(): Promise<void> {
    this.#out.end(null)
    this.#in.end(null)
  }

  abort(code: ErrorCode, message: string): void {
    const error = new TalkootError(code, message)
    this.#out.end(error)
    this.#in.end(error)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const frame = await this.#in.take()
      if (frame === null) return
      yield frame
    }
  }
}

/** One direction: a short queue; who puts waits for room, who takes waits for a frame. */
class Lane {
  readonly #frames: Uint8Array[] = []
  #waiting: (() => void)[] = []
  #ended = false
  #error: TalkootError | null = null

  async put(frame: Uint8Array): Promise<void> {
    while (!this.#ended && this.#frames.length >= LIMITS.STREAM_CREDIT_FRAMES) await this.#change()
    if (this.#ended) throw this.#error ?? new TalkootError('E_UNREACHABLE', 'the channel is closed')
    this.#frames.push(frame)
    this.#changed()
  }

  async take(): Promise<Uint8Array | null> {
    while (this.#frames.length === 0 && !this.#ended) await this.#change()
    const frame = this.#frames.shift() ?? null
    this.#changed()
    if (frame === null && this.#error !== null) throw this.#error
    return frame
  }

  end(error: TalkootError | null): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#changed()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #changed(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
