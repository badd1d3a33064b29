/** Chunks of one tree from one peer: asked for, put together from their pieces, verified by whoever keeps them. */

import type { TreePart } from '../../../protocol/data/point-inputs.ts'
import { type ErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../../protocol/frames.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Introduction } from '../introductions.ts'
import type { Channel } from '../mesh.ts'
import { Bitmap } from './bitmap.ts'
import { refusal } from './description.ts'
import type { HeldTree } from './held-tree.ts'
import { decodePiece, type Piece, type ToAsker, type ToHolder, toAskerSchema } from './messages.ts'
import type { Wants } from './wants.ts'

type DownloadInit = {
  channel: Channel
  /** What of another tree it is, if it is one's part. */
  part: TreePart | undefined
  held: HeldTree
  wants: Wants
  now: () => number
  /** A holder of all of it: true when it is to choose what it sends. */
  mayChoose(download: Download): boolean
  onAsked(chunks: number[]): void
  onPiece(): void
  /** Kept. `owing`: other holders that were asked for it. */
  onArrived(chunk: number, owing: string[]): void
  onReleased(chunks: number[]): void
  onFetchers(list: Introduction[]): void
  /** This node cannot keep what came. */
  onFault(error: TalkootError): void
}

type Coming = { chunk: number; bytes: Uint8Array; filled: number }

export class Download {
  readonly #init: DownloadInit
  /** Asked for and not here yet. */
  readonly #owed = new Set<number>()
  /** Asked for, taken back, and perhaps sent nevertheless. */
  readonly #dropped = new Set<number>()
  /** Of the holder's choice, not begun yet. */
  #any = 0
  #coming: Coming | undefined
  #place: Uint8Array | undefined
  #whole = false
  /** It has said what it has. */
  #opened = false
  /** Messages on their way to it. */
  #unsent = 0
  #chooses = false
  #heardAtMs: number

  constructor(init: DownloadInit) {
    this.#init = init
    this.#heardAtMs = init.now()
  }

  get peer(): string {
    return this.#init.channel.peer
  }

  /** The holder has all of it. */
  get whole(): boolean {
    return this.#whole
  }

  /** Until the holder or `close` ends it. @throws E_BLOB for a wrong chunk, E_NOT_FOUND, E_BUSY, E_FRAME, E_UNREACHABLE */
  async run(): Promise<void> {
    const { channel, held, part } = this.#init
    const whole = part === undefined ? {} : { part: { of: part.of, names: [...part.names] } }
    await channel.send(encodeFrame({ t: 'open', digest: held.digest, ...whole } satisfies ToHolder))
    for await (const frame of channel) {
      const piece = decodePiece(frame)
      if (piece === undefined) this.#take(decodeFrame(toAskerSchema, frame))
      else await this.#takePiece(piece)
    }
  }

  /** As much as may be on its way at once. */
  ask(): void {
    const { wants, now, onAsked } = this.#init
    const chunks: number[] = []
    while (this.#owed.size < LIMITS.TREE_ASKS_PER_HOLDER) {
      const chunk = wants.next(this.peer, now(), { chooses: this.#chooses })
      if (chunk === undefined) break
      this.#owe(chunk)
      chunks.push(chunk)
    }
    if (chunks.length > 0) {
      this.say({ t: 'ask', chunks })
      if (!this.#chooses) onAsked(chunks)
    }
    const count = this.#chooses ? LIMITS.TREE_ASKS_PER_HOLDER - this.#any : 0
    if (count > 0) this.say({ t: 'any', count })
    this.#any += count
  }

  /** From now on the holder, who has everything, chooses what it sends. */
  letChoose(): void {
    this.#chooses = true
    const taken = [...this.#init.wants.taken()]
    for (let at = 0; at < taken.length; at += LIMITS.TREE_CHUNKS_TOLD_MAX) {
      this.say({ t: 'taken', chunks: taken.slice(at, at + LIMITS.TREE_CHUNKS_TOLD_MAX) })
    }
    this.ask()
  }

  /** It came from elsewhere. */
  drop(chunk: number): void {
    if (this.#coming?.chunk === chunk || !this.#owed.delete(chunk)) return
    this.#dropped.add(chunk)
    this.say({ t: 'drop', chunk })
  }

  /** Goes when there is room; a channel that ends meanwhile takes it along, and one that takes nothing ends. */
  say(message: ToHolder): void {
    if (this.#unsent >= LIMITS.TREE_CHUNKS_TOLD_MAX) {
      this.abort('E_UNREACHABLE', 'the peer takes nothing any more')
      return
    }
    this.#unsent += 1
    const sent = this.#init.channel.send(encodeFrame(message)).catch(() => undefined)
    void sent.then(() => {
      this.#unsent -= 1
    })
  }

  /** Whether it owes something and has sent nothing for too long. */
  get stalled(): boolean {
    return this.#owed.size > 0 && this.#init.now() - this.#heardAtMs > LIMITS.TREE_STALL_MS
  }

  abort(code: ErrorCode, message: string): void {
    this.#init.channel.abort(code, message)
  }

  close(): Promise<void> {
    return this.#init.channel.close()
  }

  #take(message: ToAsker): void {
    const { wants, onFetchers, onReleased } = this.#init
    if (message.t === 'has') this.#takeHas(message.bitmap)
    else if (message.t === 'fetchers') onFetchers(message.list)
    else if (message.t === 'more') {
      for (const chunk of message.chunks) wants.gained(this.peer, this.#checked(chunk))
      this.ask()
    } else if (message.t === 'gone') {
      this.#owed.delete(message.chunk)
      if (wants.gone(this.peer, this.#checked(message.chunk))) onReleased([message.chunk])
      this.ask()
    } else throw refusal(message)
  }

  #takeHas(bytes: Uint8Array | null): void {
    const { wants, held, mayChoose } = this.#init
    const { chunks } = held.layout
    const has = bytes === null ? Bitmap.all(chunks) : Bitmap.of(chunks, bytes)
    if (has === undefined) throw new TalkootError('E_FRAME', 'a set of chunks that is not of this tree')
    if (this.#opened) throw new TalkootError('E_FRAME', 'what a holder has is said once')
    this.#opened = true
    this.say({ t: 'have', bitmap: wants.taken().bytes })
    wants.join(this.peer, has)
    this.#whole = bytes === null
    if (this.#whole && mayChoose(this)) this.#chooses = true
    this.ask()
  }

  /** @throws E_FRAME for one that was not asked for, or is not the next */
  async #takePiece({ chunk, at, bytes }: Piece): Promise<void> {
    const { wants, now, onPiece, onArrived } = this.#init
    this.#heardAtMs = now()
    onPiece()
    const coming = this.#coming ?? this.#begin(this.#checked(chunk))
    const fits = bytes.length > 0 && at + bytes.length <= coming.bytes.length
    if (coming.chunk !== chunk || coming.filled !== at || !fits) {
      throw new TalkootError('E_FRAME', `a piece of chunk ${chunk} that is not the next`)
    }
    coming.bytes.set(bytes, at)
    coming.filled += bytes.length
    if (coming.filled < coming.bytes.length) return
    await this.#keep(coming)
    this.#coming = undefined
    this.#owed.delete(chunk)
    if (wants.held.has(chunk)) return this.ask()
    onArrived(chunk, wants.arrived(this.peer, chunk, now()))
    this.ask()
  }

  #begin(chunk: number): Coming {
    const { held, wants, now } = this.#init
    if (!this.#owed.has(chunk) && !this.#dropped.delete(chunk)) {
      if (this.#any === 0) throw new TalkootError('E_FRAME', `chunk ${chunk} was not asked for`)
      this.#any -= 1
      if (!wants.held.has(chunk)) wants.asked(this.peer, chunk, now())
      this.#owe(chunk)
    }
    // One after the other is put together in the same place.
    this.#place ??= new Uint8Array(LIMITS.TREE_CHUNK_BYTES)
    this.#coming = { chunk, bytes: this.#place.subarray(0, held.layout.chunk(chunk)?.bytes), filled: 0 }
    return this.#coming
  }

  async #keep({ chunk, bytes }: Coming): Promise<void> {
    try {
      await this.#init.held.write(chunk, bytes)
    } catch (thrown) {
      const error = TalkootError.from(thrown)
      if (error.code === 'E_BLOB') throw error
      this.#init.onFault(error)
      throw new TalkootError('E_UNREACHABLE', 'the chunk cannot be kept here')
    }
  }

  #owe(chunk: number): void {
    if (this.#owed.size === 0) this.#heardAtMs = this.#init.now()
    this.#dropped.delete(chunk)
    this.#owed.add(chunk)
  }

  #checked(chunk: number): number {
    if (chunk < this.#init.held.layout.chunks) return chunk
    throw new TalkootError('E_FRAME', `there is no chunk ${chunk}`)
  }
}
