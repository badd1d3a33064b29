/**
 * A stream of whole frames with credits, over one libp2p stream.
 *
 * The receiver grants bytes as its application takes frames; a frame costs its bytes and `FRAME_COST_BYTES` more, so a window
 * bounds the number of small frames as well. Nothing unread is ever over one window (3 MiB), below the 4 MiB at which
 * libp2p's readers reset a stream. The reader never pauses: credits arrive even while our own sender waits.
 *
 * On the wire each message is prefixed by its length (varint); its first byte is its kind:
 * 0 data; 1 credit, 4 bytes big-endian, a quarter of a window or more; 2 end, UTF-8 `CODE message` or nothing for a clean end.
 */

import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toString as textOf } from 'uint8arrays/to-string'
import { type ErrorCode, isErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Channel } from './mesh.ts'

const DATA = 0
const CREDIT = 1
const END = 2

const FRAME_COST_BYTES = 1_024
const WINDOW_BYTES = LIMITS.STREAM_CREDIT_FRAMES * (LIMITS.FRAME_MAX_BYTES + FRAME_COST_BYTES)
/** Granting in quarters keeps a sender of the largest frames moving and credit messages rare. */
const GRANT_BYTES = WINDOW_BYTES / 4

const costOf = (frame: Uint8Array) => frame.length + FRAME_COST_BYTES

type ChannelReport = (code: ErrorCode, message: string) => void

type Waiter = { cost: number; resolve: () => void; reject: (error: TalkootError) => void }

export class FramedChannel implements Channel {
  readonly peer: string
  readonly #stream: Stream
  readonly #frames: ReturnType<typeof lpStream<Stream>>
  readonly #report: ChannelReport
  readonly #inbox: Uint8Array[] = []
  #wakeReader: (() => void) | undefined
  /** What we may still send, and what the peer may. */
  #ours = WINDOW_BYTES
  #theirs = WINDOW_BYTES
  #owed = 0
  readonly #waiters: Waiter[] = []
  /** Undefined while open; null after a clean end. */
  #end: TalkootError | null | undefined

  /** @param report told of violations by the peer and of aborts */
  constructor(stream: Stream, peer: string, report: ChannelReport) {
    this.peer = peer
    this.#stream = stream
    this.#report = report
    this.#frames = lpStream(stream, { maxDataLength: LIMITS.FRAME_MAX_BYTES + 1 })
    void this.#read()
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** @throws E_FRAME_TOO_BIG for a frame of ours over the limit; the end's own error, or E_UNREACHABLE, once it has ended */
  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > LIMITS.FRAME_MAX_BYTES) {
      throw new TalkootError('E_FRAME_TOO_BIG', `a frame of ${frame.length} bytes, over ${LIMITS.FRAME_MAX_BYTES}`)
    }
    await this.#room(costOf(frame))
    await this.#write(DATA, frame)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    while (true) {
      const frame = this.#inbox.shift()
      if (frame !== undefined) {
        this.#grant(costOf(frame))
        yield frame
      } else if (this.#end !== undefined) {
        if (this.#end !== null) throw this.#end
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve
        })
      }
    }
  }

  /** Ends both directions once what was sent is on its way; frames the peer still sends are dropped. */
  async close(): Promise<void> {
    if (this.ended) return
    this.#finish(null)
    await this.#sayEnd('')
  }

  abort(code: ErrorCode, message: string): void {
    if (this.ended) return
    this.#report(code, message)
    this.end(code, message)
  }

  /** Ends with an error at both sides, without a report. */
  end(code: ErrorCode, message: string): void {
    if (this.ended) return
    this.#finish(new TalkootError(code, message))
    void this.#sayEnd(`${code} ${message.slice(0, 500)}`)
  }

  async #room(cost: number): Promise<void> {
    if (this.#end !== undefined) throw this.#endError()
    if (this.#waiters.length === 0 && this.#ours >= cost) {
      this.#ours -= cost
      return
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ cost, resolve, reject })
    })
  }

  async #write(kind: number, body: Uint8Array): Promise<void> {
    try {
      await this.#frames.write(concat([Uint8Array.of(kind), body]))
    } catch (cause) {
      this.#finish(new TalkootError('E_UNREACHABLE', 'the stream to the peer broke', { cause }))
      throw this.#endError()
    }
  }

  async #read(): Promise<void> {
    try {
      while (this.#end === undefined) {
        const message = await this.#frames.read()
        this.#take(message.subarray())
      }
    } catch (thrown) {
      const error = readError(thrown)
      if (error.code === 'E_UNREACHABLE') this.#finish(error)
      else this.abort(error.code, error.message)
    }
  }

  /** @throws E_FLOOD, E_FRAME */
  #take(message: Uint8Array): void {
    const body = message.subarray(1)
    if (message[0] === DATA) {
      this.#theirs -= costOf(body)
      if (this.#theirs < 0) throw new TalkootError('E_FLOOD', 'the peer sent more than its credit')
      this.#inbox.push(new Uint8Array(body.buffer, body.byteOffset, body.length))
      this.#wakeReader?.()
    } else if (message[0] === CREDIT && body.length === 4) {
      const granted = new DataView(body.buffer, body.byteOffset, 4).getUint32(0)
      // Only what was sent is granted again, so these bound the number of such messages.
      if (granted < GRANT_BYTES) throw new TalkootError('E_FLOOD', 'the peer grants in crumbs')
      this.#ours += granted
      if (this.#ours > WINDOW_BYTES) throw new TalkootError('E_FLOOD', 'the peer granted more than a window')
      this.#admitWaiters()
    } else if (message[0] === END) {
      this.#finish(endOf(body))
      this.#hangUp()
    } else {
      throw new TalkootError('E_FRAME', 'the peer sent a frame of no known kind')
    }
  }

  #admitWaiters(): void {
    for (let next = this.#waiters[0]; next !== undefined && next.cost <= this.#ours; next = this.#waiters[0]) {
      this.#waiters.shift()
      this.#ours -= next.cost
      next.resolve()
    }
  }

  #grant(cost: number): void {
    this.#owed += cost
    if (this.#owed < GRANT_BYTES || this.ended) return
    const body = new Uint8Array(4)
    new DataView(body.buffer).setUint32(0, this.#owed)
    this.#theirs += this.#owed
    this.#owed = 0
    this.#write(CREDIT, body).catch(() => undefined)
  }

  #finish(end: TalkootError | null): void {
    if (this.#end !== undefined) return
    this.#end = end
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#endError())
    this.#wakeReader?.()
  }

  #endError(): TalkootError {
    return this.#end ?? new TalkootError('E_UNREACHABLE', 'the channel has ended')
  }

  async #sayEnd(reason: string): Promise<void> {
    const bytes = concat([Uint8Array.of(END), fromString(reason)])
    await this.#frames.write(bytes, { signal: AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS) }).catch(() => undefined)
    this.#hangUp()
  }

  /** Closes our side; a peer that never closes its own is reset after the request timeout. */
  #hangUp(): void {
    const reset = () => this.#stream.abort(new Error('the peer did not close its side'))
    const timer = setTimeout(reset, LIMITS.REQUEST_TIMEOUT_MS)
    timer.unref()
    this.#stream.addEventListener('close', () => clearTimeout(timer))
    this.#stream.close({ signal: AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS) }).catch(reset)
    if (this.#stream.status !== 'open') clearTimeout(timer)
  }
}

/** Sorts what a read threw into the peer's fault (frame too big, overflow, garbage) and a stream that is gone. */
function readError(thrown: unknown): TalkootError {
  if (thrown instanceof TalkootError) return thrown
  const name = thrown instanceof Error ? thrown.name : ''
  if (name === 'InvalidDataLengthError' || name === 'InvalidDataLengthLengthError') {
    return new TalkootError('E_FRAME_TOO_BIG', 'the peer sent a frame over the limit', { cause: thrown })
  }
  if (name === 'StreamBufferError') return new TalkootError('E_FLOOD', 'the peer sent more than its credit')
  if (name === 'InvalidMessageLengthError') return new TalkootError('E_FRAME', 'the peer sent a frame without a length')
  return new TalkootError('E_UNREACHABLE', 'the stream to the peer ended', { cause: thrown })
}

function endOf(body: Uint8Array): TalkootError | null {
  if (body.length === 0) return null
  const text = textOf(body.subarray(0, 1_000))
  const [code = ''] = text.split(' ', 1)
  return new TalkootError(
    isErrorCode(code) ? code : 'E_FRAME',
    `the peer ended the channel: ${text.slice(code.length + 1)}`,
  )
}
