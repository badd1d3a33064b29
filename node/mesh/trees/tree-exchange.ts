/**
 * Trees of files, from peer to peer: fetched from all who have some of them at once, given to whoever is admitted and knows the
 * digest, while they still come too.
 *
 *     const trees = new TreeExchange({ mesh, trees: store, now, random })
 *     const held = await trees.fetch(digest, { from: [submitter], maxBytes, signal })
 *     held.folder        all of it; stays until
 *     held.release()
 *
 * docs/data.md has the protocol. node/mesh/trees/handout.ts and wants.ts choose what goes where.
 */

import { randomUUID } from 'node:crypto'
import type { Digest } from '../../../protocol/canonical.ts'
import { filesNamed, partOf } from '../../../protocol/data/point-inputs.ts'
import { treeBytes } from '../../../protocol/data/tree.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../../protocol/frames.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { PeerAllowances } from '../allowance.ts'
import type { AdmittedPeer, Channel, Mesh } from '../mesh.ts'
import { fetchDescription, sendDescription } from './description.ts'
import { HeldPart } from './held-part.ts'
import type { HeldTree, TreeKeeper } from './held-tree.ts'
import { type ToAsker, TREES_PROTOCOL, toHolderSchema } from './messages.ts'
import { Sharing } from './sharing.ts'
import { type Meeting, Transfer, tooLarge, type Wanted } from './transfer.ts'
import { Upload } from './upload.ts'

type Components<Held extends HeldTree> = {
  mesh: Pick<Mesh, 'open' | 'serve' | 'peerId'> & Meeting
  trees: TreeKeeper<Held>
  /** Milliseconds, monotonic. */
  now: () => number
  random: () => number
}

export class TreeExchange<Held extends HeldTree> {
  /** Bytes of chunks since the start: sent to anybody, and received and kept. */
  readonly traffic = { sent: 0, received: 0 }
  readonly #components: Components<Held>
  readonly #transfers = new Map<Digest, Transfer<Held>>()
  readonly #running = new Set<Transfer<Held>>()
  readonly #sharings = new Map<Digest, Sharing>()
  /** Of uploads by peer. */
  readonly #uploads = new Map<string, number>()
  /** Files whose description as a tree of their own is made for a peer. */
  readonly #described: PeerAllowances
  readonly #stopped = new AbortController()

  constructor(components: Components<Held>) {
    this.#components = components
    const [burst, perSecond] = [LIMITS.TREE_PART_FILES_BURST, LIMITS.TREE_PART_FILES_PER_SECOND]
    this.#described = new PeerAllowances({ burst, perSecond, now: components.now })
    components.mesh.serve(TREES_PROTOCOL, (channel, peer) => this.#serve(channel, peer))
  }

  /**
   * All of a tree, kept by this node until it is released. Two who want the same share what is under way; what an earlier
   * fetch left is not fetched again.
   * @throws E_TREE when it is larger than `maxBytes` or its description is none, E_TREE_SOURCE when nobody gives all of it,
   *   E_DISK_BUDGET, E_DISK_FULL, E_UNREACHABLE or what the signal aborts with
   */
  async fetch(digest: Digest, wanted: Wanted): Promise<Held> {
    wanted.signal.throwIfAborted()
    this.#stopped.signal.throwIfAborted()
    const here = await this.#whole(digest, wanted)
    if (here !== undefined) return here
    let transfer = this.#transfers.get(digest)
    if (transfer === undefined || transfer.closed) {
      transfer = new Transfer({
        ...this.#components,
        digest,
        source: wanted.from[0],
        part: wanted.part,
        onArrived: (chunk, bytes) => {
          this.traffic.received += bytes
          this.#sharings.get(digest)?.gained(chunk)
        },
      })
      this.#transfers.set(digest, transfer)
    }
    const fetched = transfer.join(wanted)
    this.#runDue()
    return await fetched
  }

  /** The description of a tree, of which nothing else is fetched: from here, or from that peer. @throws as `fetchDescription` */
  async describe(digest: Digest, from: string, signal: AbortSignal): Promise<Uint8Array> {
    const { mesh, trees } = this.#components
    const either = AbortSignal.any([signal, this.#stopped.signal])
    if (!trees.has(digest)) return await fetchDescription(mesh, from, digest, either)
    const held = await trees.hold(digest, either)
    held.release()
    return held.description
  }

  stop(): void {
    const error = new TalkootError('E_UNREACHABLE', 'this node stops')
    this.#stopped.abort(error)
    for (const transfer of this.#transfers.values()) transfer.stop(error)
  }

  async #whole(digest: Digest, { maxBytes, signal }: Wanted): Promise<Held | undefined> {
    const { trees } = this.#components
    if (!trees.has(digest)) return undefined
    const held = await trees.hold(digest, signal)
    const bytes = treeBytes(held.layout.tree)
    if (bytes <= maxBytes && held.whole) return held
    held.release()
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes)
    return undefined
  }

  /** In the order they were wanted, but that no peer that stalls takes the places of all others. */
  #runDue(): void {
    for (const [digest, transfer] of this.#transfers) {
      if (this.#running.size >= LIMITS.TREE_FETCHES_MAX) return
      if (this.#running.has(transfer) || this.#runningOf(transfer.source) >= LIMITS.TREE_FETCHES_PER_SOURCE_MAX)
        continue
      this.#running.add(transfer)
      void transfer.run().then(() => {
        this.#running.delete(transfer)
        if (this.#transfers.get(digest) === transfer) this.#transfers.delete(digest)
        this.#runDue()
      })
    }
  }

  #runningOf(source: string | undefined): number {
    return [...this.#running].filter((running) => running.source === source).length
  }

  async #serve(channel: Channel, peer: AdmittedPeer): Promise<void> {
    const messages = channel[Symbol.asyncIterator]()
    const first = await messages.next()
    if (first.done === true) return
    const request = decodeFrame(toHolderSchema, first.value)
    if (request.t !== 'describe' && request.t !== 'open') {
      throw new TalkootError('E_FRAME', `${request.t} is not said first`)
    }
    const { digest } = request
    const part = request.t === 'open' ? request.part : undefined
    const kept = this.#keptFor(digest, part)
    if (kept === undefined) return await say(channel, { t: 'absent' })
    const uploads = this.#uploads.get(peer.id) ?? 0
    const all = [...this.#uploads.values()].reduce((sum, count) => sum + count, 0)
    if (all >= LIMITS.TREE_UPLOADS_MAX || uploads >= LIMITS.TREE_UPLOADS_PER_PEER_MAX) {
      const list = this.#sharings.get(digest)?.others() ?? []
      if (request.t === 'open' && list.length > 0) await say(channel, { t: 'fetchers', list })
      return await say(channel, { t: 'busy' })
    }
    this.#uploads.set(peer.id, uploads + 1)
    try {
      const held = await this.#components.trees.hold(kept, this.#stopped.signal)
      try {
        const asked = part === undefined || kept === digest ? held : this.#part(held, peer, part.names)
        if (asked.digest !== digest) await say(channel, { t: 'absent' })
        else if (request.t === 'describe') await sendDescription(channel, asked.description)
        else await this.#upload(channel, peer, asked, messages)
      } finally {
        held.release()
      }
    } finally {
      const left = (this.#uploads.get(peer.id) ?? 1) - 1
      if (left > 0) this.#uploads.set(peer.id, left)
      else this.#uploads.delete(peer.id)
    }
  }

  /** The tree, or the one it is a part of. */
  #keptFor(digest: Digest, part: { of: Digest } | undefined): Digest | undefined {
    const { trees } = this.#components
    if (trees.has(digest)) return digest
    return part !== undefined && trees.has(part.of) ? part.of : undefined
  }

  /** @throws E_FLOOD */
  #part(held: HeldTree, peer: AdmittedPeer, names: readonly string[]): HeldTree {
    const { tree } = held.layout
    if (!this.#described.spend(peer.id, filesNamed(tree, names))) {
      throw new TalkootError('E_FLOOD', 'the peer asked for parts of too many files')
    }
    return new HeldPart(held, partOf(held.digest, tree, names))
  }

  async #upload(
    channel: Channel,
    peer: AdmittedPeer,
    held: HeldTree,
    messages: AsyncIterator<Uint8Array>,
  ): Promise<void> {
    const { now } = this.#components
    const sharing = this.#sharing(held.digest)
    const onSent = (bytes: number) => {
      this.traffic.sent += bytes
    }
    await new Upload({ id: randomUUID(), channel, peer, held, sharing, now, onSent }).run(messages)
  }

  /** The latest are remembered: who has a tree is told to those who come much later. */
  #sharing(digest: Digest): Sharing {
    const sharing = this.#sharings.get(digest) ?? new Sharing({ random: this.#components.random })
    this.#sharings.delete(digest)
    this.#sharings.set(digest, sharing)
    const [oldest] = [...this.#sharings].filter(([, { idle }]) => idle)
    if (this.#sharings.size > LIMITS.TREE_SHARINGS_MAX && oldest !== undefined) this.#sharings.delete(oldest[0])
    return sharing
  }
}

const say = (channel: Channel, message: ToAsker): Promise<void> => channel.send(encodeFrame(message))
