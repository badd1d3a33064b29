/** Chunks of one tree to one peer: one after the other, as it asks for them or lets this node choose. */

import { TalkootError } from '../../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../../protocol/frames.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Introduction } from '../introductions.ts'
import type { AdmittedPeer, Channel } from '../mesh.ts'
import { Bitmap } from './bitmap.ts'
import type { Handout } from './handout.ts'
import type { HeldTree } from './held-tree.ts'
import { encodePiece, type ToAsker, type ToHolder, toHolderSchema } from './messages.ts'
import type { Sharing } from './sharing.ts'
import { Wake } from './wake.ts'

/** How often an asker is looked at that asks for nothing. */
const LOOK_MS = 1_000

type UploadInit = {
  id: string
  channel: Channel
  peer: AdmittedPeer
  held: HeldTree
  sharing: Sharing
  now: () => number
  /** Told of each chunk sent, in bytes. */
  onSent(bytes: number): void
}

export class Upload {
  readonly id: string
  readonly #init: UploadInit
  readonly #wake = new Wake()
  #handout: Handout | undefined
  readonly #asks = new Set<number>()
  /** How many the asker wants of this node's choice. */
  #any = 0
  #gained: number[] = []
  #introductions: Introduction[] = []
  #joined = false
  #ended = false
  /** When it was last given a chunk. What it says costs it nothing and counts for nothing. */
  #activeMs: number

  constructor(init: UploadInit) {
    this.id = init.id
    this.#init = init
    this.#activeMs = init.now()
  }

  get peer(): string {
    return this.#init.peer.id
  }

  /**
   * Until the asker ends it.
   * @param messages what it says after `open`
   * @throws E_FRAME, E_FLOOD, E_UNREACHABLE
   */
  async run(messages: AsyncIterator<Uint8Array>): Promise<void> {
    const { held, sharing, now } = this.#init
    if (held.whole) this.#handout = sharing.handout(held.layout.chunks)
    // Before it is told what is here: what comes after that is news.
    sharing.opened(this)
    const sending = this.#send().catch((error: unknown) => {
      const { code, message } = TalkootError.from(error)
      this.#init.channel.abort(code, message)
    })
    try {
      await this.#say({ t: 'has', bitmap: held.whole ? null : bitmapOf(held).bytes })
      for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
        this.#take(decodeFrame(toHolderSchema, next.value))
      }
    } finally {
      this.#ended = true
      this.#wake.ring()
      await sending
      sharing.left(this, now())
    }
  }

  introduce(others: readonly Introduction[]): void {
    this.#introductions.push(...others)
    this.#wake.ring()
  }

  gained(chunk: number): void {
    if (this.#handout !== undefined) return
    this.#gained.push(chunk)
    this.#wake.ring()
  }

  /** @throws E_FRAME, E_FLOOD */
  #take(message: ToHolder): void {
    const { now, sharing, peer, held } = this.#init
    if (message.t === 'have' ? this.#joined : !this.#joined) throw outOfTurn(message)
    if (message.t === 'have') {
      const has = Bitmap.of(held.layout.chunks, message.bitmap)
      if (has === undefined) throw new TalkootError('E_FRAME', 'a set of chunks that is not of this tree')
      this.#handout?.join(this.id, has, now())
      this.#joined = true
      this.#activeMs = now()
      sharing.joined(this, peer)
    } else if (message.t === 'any') {
      if (this.#handout === undefined) throw outOfTurn(message)
      this.#any += message.count
    } else if (message.t === 'ask') for (const chunk of message.chunks) this.#ask(chunk)
    else if (message.t === 'drop') this.#asks.delete(message.chunk)
    else if (message.t === 'taken') for (const chunk of message.chunks) this.#handout?.taken(this.id, chunk, now())
    else if (message.t === 'lost') for (const chunk of message.chunks) this.#handout?.lost(this.id, chunk)
    else throw outOfTurn(message)
    if (Math.max(this.#asks.size, this.#any) > LIMITS.TREE_ASKS_PER_HOLDER) {
      throw new TalkootError('E_FLOOD', 'the peer asked for more chunks at once than are given')
    }
    this.#wake.ring()
  }

  #ask(chunk: number): void {
    this.#asks.add(chunk)
    this.#handout?.taken(this.id, chunk, this.#init.now())
  }

  async #send(): Promise<void> {
    while (!this.#ended) {
      if (this.#joined) await this.#tellNews()
      const [ask] = this.#asks
      const choice = ask !== undefined ? { chunk: ask } : this.#choose()
      if (!('chunk' in choice)) await this.#idle(choice.waitMs)
      // What was to be chosen and cannot be read is not chosen for this asker again.
      else if (!(await this.#give(choice.chunk)) && ask === undefined) this.#any += 1
    }
  }

  /** One that is given nothing for long gives its place to others. */
  async #idle(ms: number): Promise<void> {
    await this.#wake.wait(Math.min(ms, LOOK_MS))
    if (this.#init.now() - this.#activeMs < LIMITS.TREE_SILENCE_MS) return
    throw new TalkootError('E_UNREACHABLE', 'the peer has been given nothing for too long')
  }

  #choose(): { chunk: number } | { waitMs: number } {
    const choice = this.#any > 0 ? this.#handout?.choose(this.id, this.#init.now()) : undefined
    if (choice === undefined || choice === null) return { waitMs: Number.POSITIVE_INFINITY }
    if ('chunk' in choice) this.#any -= 1
    return choice
  }

  /** False when it is not here after all. */
  async #give(chunk: number): Promise<boolean> {
    this.#asks.delete(chunk)
    const beganMs = this.#init.now()
    const bytes = await this.#init.held.read(chunk).catch(() => undefined)
    if (bytes === undefined) {
      await this.#say({ t: 'gone', chunk })
      return false
    }
    for (let at = 0; at < bytes.length && !this.#ended; at += LIMITS.TREE_PIECE_BYTES) {
      await this.#sendFrame(encodePiece({ chunk, at, bytes: bytes.subarray(at, at + LIMITS.TREE_PIECE_BYTES) }))
    }
    this.#activeMs = this.#init.now()
    this.#handout?.given(chunk, this.#activeMs, this.#activeMs - beganMs)
    this.#init.onSent(bytes.length)
    return true
  }

  async #tellNews(): Promise<void> {
    while (this.#introductions.length > 0) {
      await this.#say({ t: 'fetchers', list: this.#introductions.splice(0, LIMITS.TREE_FETCHERS_TOLD_MAX) })
    }
    while (this.#gained.length > 0) {
      await this.#say({ t: 'more', chunks: this.#gained.splice(0, LIMITS.TREE_CHUNKS_TOLD_MAX) })
    }
  }

  #say(message: ToAsker): Promise<void> {
    return this.#sendFrame(encodeFrame(message))
  }

  /** An asker that takes nothing for so long gives its place to others. */
  async #sendFrame(frame: Uint8Array): Promise<void> {
    const { channel } = this.#init
    const timer = setTimeout(
      () => channel.abort('E_UNREACHABLE', 'the peer takes nothing any more'),
      LIMITS.TREE_STALL_MS,
    )
    timer.unref()
    try {
      await channel.send(frame)
    } finally {
      clearTimeout(timer)
    }
  }
}

export function bitmapOf(held: HeldTree): Bitmap {
  const bitmap = Bitmap.all(held.layout.chunks)
  for (const chunk of held.missing()) bitmap.delete(chunk)
  return bitmap
}

const outOfTurn = ({ t }: ToHolder): TalkootError => new TalkootError('E_FRAME', `${t} is not said now`)
