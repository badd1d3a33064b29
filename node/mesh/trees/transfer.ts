/** One tree on its way to this node, from all who have some of it, for all here who wait for it. */

import type { Digest } from '../../../protocol/canonical.ts'
import type { TreePart } from '../../../protocol/data/point-inputs.ts'
import { decodeTree, treeBytes } from '../../../protocol/data/tree.ts'
import { type ErrorCode, TalkootError } from '../../../protocol/errors.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Introduction } from '../introductions.ts'
import type { Mesh } from '../mesh.ts'
import { Pulse } from '../pulse.ts'
import { fetchDescription } from './description.ts'
import { Download } from './download.ts'
import type { HeldTree, TreeKeeper } from './held-tree.ts'
import { Holders } from './holders.ts'
import { TREES_PROTOCOL } from './messages.ts'
import { bitmapOf } from './upload.ts'
import { Wake } from './wake.ts'
import { Wants } from './wants.ts'

const TICK_MS = 250

export type Meeting = {
  /** Dials a peer, unless it is connected: a hint, without an answer. */
  meet(peer: Introduction): void
}

export type Progress = { bytes: number; of: number }

export type Wanted = {
  /** Peers that should have it; those they tell of are asked too. */
  from: readonly string[]
  /** Of all its files. */
  maxBytes: number
  signal: AbortSignal
  /** It is a part of another tree, which holders may have instead; so its description is known. */
  part?: TreePart | undefined
  onProgress?(progress: Progress): void
}

type TransferInit<Held extends HeldTree> = {
  digest: Digest
  /** Whom the first who wanted it named first. */
  source: string | undefined
  /** The same whoever wants it. */
  part: TreePart | undefined
  mesh: Pick<Mesh, 'open' | 'peerId'> & Meeting
  trees: TreeKeeper<Held>
  now: () => number
  random: () => number
  /** Verified and kept. */
  onArrived(chunk: number, bytes: number): void
}

type Waiting<Held> = Wanted & { resolve(held: Held): void; reject(error: unknown): void }

export class Transfer<Held extends HeldTree> {
  readonly #init: TransferInit<Held>
  readonly #holders: Holders
  readonly #waiting = new Set<Waiting<Held>>()
  readonly #downloads = new Map<string, Download>()
  readonly #stopped = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  readonly #wake = new Wake()
  #held: Held | undefined
  #wants: Wants | undefined
  /** The one holder that chooses what it sends. */
  #source: Download | undefined
  /** Of all its files, once that is known; and of those that are here. */
  #bytes = 0
  #got = 0
  #closed = false
  #heardAtMs: number
  /** When a piece came last, from anybody. */
  #gaveAtMs: number

  constructor(init: TransferInit<Held>) {
    this.#init = init
    this.#holders = new Holders({ self: init.mesh.peerId, random: init.random })
    this.#heardAtMs = init.now()
    this.#gaveAtMs = this.#heardAtMs
    this.#ended.promise.catch(() => undefined)
  }

  get source(): string | undefined {
    return this.#init.source
  }

  /** It is too late to join it. */
  get closed(): boolean {
    return this.#closed
  }

  /** @throws E_TREE when it is too large or its description is none, E_TREE_SOURCE, E_DISK_*, and what the signal aborts with */
  join(wanted: Wanted): Promise<Held> {
    const { promise, resolve, reject } = Promise.withResolvers<Held>()
    const waiting = { ...wanted, resolve, reject }
    const leave = () => this.#leave(waiting, TalkootError.from(wanted.signal.reason, 'E_UNREACHABLE'))
    wanted.signal.addEventListener('abort', leave, { once: true })
    this.#waiting.add(waiting)
    for (const peer of wanted.from) this.#holders.name(peer)
    this.#refuseTooLarge()
    this.#wake.ring()
    return promise.finally(() => wanted.signal.removeEventListener('abort', leave))
  }

  /** Until it is whole, fails, or nobody wants it. Those who wait are told; it does not throw. */
  async run(): Promise<void> {
    const pulse = new Pulse(TICK_MS, () => this.#tick())
    try {
      this.#given()
      const held = await this.#begin()
      this.#held = held
      this.#wants = new Wants(bitmapOf(held), {
        random: this.#init.random,
        lateMs: LIMITS.TREE_LATE_MS,
        asksMax: LIMITS.TREE_ASKS_PER_HOLDER,
      })
      this.#sized(treeBytes(held.layout.tree))
      this.#got = this.#bytes
      for (const chunk of held.missing()) this.#got -= held.layout.chunk(chunk)?.bytes ?? 0
      pulse.start()
      if (held.whole) this.#ended.resolve()
      else this.#engageDue()
      await this.#ended.promise
      await this.#handOver()
    } catch (error) {
      this.#closed = true
      for (const waiting of this.#waiting) waiting.reject(error)
      this.#waiting.clear()
    } finally {
      pulse.stop()
      this.#stopped.abort()
      await Promise.all([...this.#downloads.values()].map((download) => download.close()))
      this.#held?.release()
    }
  }

  stop(error: TalkootError): void {
    this.#closed = true
    this.#stopped.abort(error)
    this.#ended.reject(error)
    this.#wake.ring()
  }

  #leave(waiting: Waiting<Held>, reason: TalkootError): void {
    if (!this.#waiting.delete(waiting)) return
    waiting.reject(reason)
    if (this.#waiting.size === 0 && !this.#closed)
      this.stop(new TalkootError('E_UNREACHABLE', 'the tree is no longer wanted'))
  }

  async #handOver(): Promise<void> {
    for (const waiting of this.#waiting) {
      waiting.resolve(await this.#init.trees.hold(this.#init.digest, this.#stopped.signal))
      this.#waiting.delete(waiting)
    }
    this.#closed = true
  }

  /** What is here of it, or room for it. */
  async #begin(): Promise<Held> {
    const { digest, trees } = this.#init
    const { signal } = this.#stopped
    if (trees.has(digest)) return await trees.hold(digest, signal)
    const description = this.#init.part?.description ?? (await this.#description())
    this.#sized(treeBytes(decodeTree(description)))
    signal.throwIfAborted()
    return await trees.begin(description, signal)
  }

  async #description(): Promise<Uint8Array> {
    const { digest, mesh, now } = this.#init
    const { signal } = this.#stopped
    for (;;) {
      for (const peer of this.#holders.due(now())) {
        this.#holders.engage(peer)
        try {
          const description = await fetchDescription(mesh, peer, digest, signal)
          this.#holders.disengage(peer, null, now())
          return description
        } catch (thrown) {
          signal.throwIfAborted()
          this.#disengage(peer, TalkootError.from(thrown).code)
        }
      }
      this.#checkHope()
      await this.#wake.wait(TICK_MS)
      signal.throwIfAborted()
    }
  }

  #tick(): void {
    for (const download of this.#downloads.values()) {
      if (download.stalled) download.abort('E_UNREACHABLE', 'the peer sends nothing any more')
      else download.ask()
    }
    this.#engageDue()
    try {
      this.#checkHope()
    } catch (error) {
      this.#ended.reject(error)
    }
  }

  /** @throws E_TREE_SOURCE */
  #checkHope(): void {
    const { digest, now } = this.#init
    const why = this.#holders.hopeless()
    if (why !== null) throw new TalkootError('E_TREE_SOURCE', `no peer gives tree ${digest}; the last said ${why}`)
    if (now() - this.#heardAtMs < LIMITS.TREE_SILENCE_MS) return
    throw new TalkootError('E_TREE_SOURCE', `no peer has sent anything of tree ${digest} for too long`)
  }

  #engageDue(): void {
    for (const peer of this.#holders.due(this.#init.now())) {
      this.#holders.engage(peer)
      void this.#engage(peer)
    }
  }

  async #engage(peer: string): Promise<void> {
    const { mesh, now, part } = this.#init
    const [held, wants] = [this.#held, this.#wants]
    if (held === undefined || wants === undefined) return
    const before = this.#got
    let download: Download | undefined
    let fault = new TalkootError('E_UNREACHABLE', 'the peer ended')
    try {
      const channel = await mesh.open(peer, TREES_PROTOCOL, this.#stopped.signal)
      download = new Download({ channel, part, held, wants, now, ...this.#hooks })
      this.#downloads.set(peer, download)
      await download.run()
    } catch (thrown) {
      fault = TalkootError.from(thrown)
    }
    if (this.#stopped.signal.aborted) return
    // Told to the peer, and kept as what is held against it.
    download?.abort(fault.code, fault.message)
    this.#downloads.delete(peer)
    this.#disengage(peer, this.#got > before && fault.code === 'E_UNREACHABLE' ? null : fault.code)
    if (this.#source === download) this.#source = undefined
    this.#released(wants.leave(peer))
    this.#chooseSource()
  }

  readonly #hooks = {
    mayChoose: (download: Download) => this.#mayChoose(download),
    onAsked: (chunks: number[]) => this.#source?.say({ t: 'taken', chunks }),
    onPiece: () => this.#given(),
    onArrived: (chunk: number, owing: string[]) => this.#arrived(chunk, owing),
    onReleased: (chunks: number[]) => this.#released(chunks),
    onFetchers: (list: Introduction[]) => this.#hear(list),
    onFault: (error: TalkootError) => this.#ended.reject(error),
  }

  #disengage(peer: string, code: ErrorCode | null): void {
    const nowMs = this.#init.now()
    // A peer that gives to others is one to wait for, but not for ever.
    if (code === 'E_BUSY' && nowMs - this.#gaveAtMs < LIMITS.TREE_BUSY_MAX_MS) this.#heardAtMs = nowMs
    this.#holders.disengage(peer, code, nowMs)
  }

  #given(): void {
    this.#gaveAtMs = this.#init.now()
    this.#heardAtMs = this.#gaveAtMs
  }

  #mayChoose(download: Download): boolean {
    this.#source ??= download
    return this.#source === download
  }

  #chooseSource(): void {
    if (this.#source !== undefined) return
    this.#source = [...this.#downloads.values()].find(({ whole }) => whole)
    this.#source?.letChoose()
  }

  #arrived(chunk: number, owing: string[]): void {
    const held = this.#held
    const bytes = held?.layout.chunk(chunk)?.bytes ?? 0
    this.#got += bytes
    for (const holder of owing) this.#downloads.get(holder)?.drop(chunk)
    this.#init.onArrived(chunk, bytes)
    const progress = { bytes: this.#got, of: this.#bytes }
    for (const { onProgress } of this.#waiting) onProgress?.(progress)
    if (held?.whole === true) this.#ended.resolve()
  }

  #released(chunks: number[]): void {
    if (chunks.length === 0) return
    for (let at = 0; at < chunks.length; at += LIMITS.TREE_CHUNKS_TOLD_MAX) {
      this.#source?.say({ t: 'lost', chunks: chunks.slice(at, at + LIMITS.TREE_CHUNKS_TOLD_MAX) })
    }
    for (const download of this.#downloads.values()) download.ask()
  }

  #hear(list: Introduction[]): void {
    for (const introduction of this.#holders.hear(list)) this.#init.mesh.meet(introduction)
    this.#engageDue()
  }

  #sized(bytes: number): void {
    this.#bytes = bytes
    this.#refuseTooLarge()
  }

  #refuseTooLarge(): void {
    for (const waiting of this.#waiting) {
      if (this.#bytes > waiting.maxBytes) this.#leave(waiting, tooLarge(this.#bytes, waiting.maxBytes))
    }
  }
}

export const tooLarge = (bytes: number, maxBytes: number): TalkootError =>
  new TalkootError('E_TREE', `the tree has ${bytes} bytes, ${maxBytes} were expected at most`)
