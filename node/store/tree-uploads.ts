/**
 * Trees that the user of this machine is sending: room is kept for each from its first request on, until a job needs it or
 * nothing more comes.
 */

import type { Digest } from '../../protocol/canonical.ts'
import { digestOf } from '../../protocol/canonical.ts'
import type { ChunksQuery, TreeUpload } from '../../protocol/data/upload.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { HeldTree, TreeStore } from './tree-store.ts'

type Upload = { held: HeldTree; timer: NodeJS.Timeout }

export class TreeUploads {
  readonly #trees: Pick<TreeStore, 'begin'>
  /** Least recently sent to first. */
  readonly #uploads = new Map<Digest, Upload>()

  constructor(components: { trees: Pick<TreeStore, 'begin'> }) {
    this.#trees = components.trees
  }

  /** @throws E_TREE, E_DISK_BUDGET, E_DISK_TAKEN, E_DISK_FULL; E_BLOB when it is the description of another tree */
  async begin(digest: Digest, description: Uint8Array, signal: AbortSignal): Promise<TreeUpload> {
    if (digestOf(description) !== digest) throw new TalkootError('E_BLOB', `the description is not that of ${digest}`)
    const held = await this.#trees.begin(description, signal)
    this.release(digest)
    const [oldest] = this.#uploads.keys()
    if (oldest !== undefined && this.#uploads.size >= LIMITS.UPLOADS_MAX) this.release(oldest)
    this.#keep(held)
    return stateOf(held)
  }

  /** Takes chunks as they come; those that are there already are skipped. @throws E_NOT_FOUND, E_BLOB, E_DISK_FULL */
  async take(digest: Digest, { first, count }: ChunksQuery, bytes: AsyncIterable<Uint8Array>): Promise<TreeUpload> {
    const upload = this.#uploads.get(digest)
    if (upload === undefined) throw new TalkootError('E_NOT_FOUND', `no files with digest ${digest} are being sent`)
    const { held } = upload
    this.#uploads.delete(digest)
    this.#keep(held)
    clearTimeout(upload.timer)
    for await (const [number, chunk] of cut(held, { first, count }, bytes)) await held.write(number, chunk)
    return stateOf(held)
  }

  /** A job has it by now, or nobody wants it. */
  release(digest: Digest): void {
    const upload = this.#uploads.get(digest)
    if (upload === undefined) return
    this.#uploads.delete(digest)
    clearTimeout(upload.timer)
    upload.held.release()
  }

  stop(): void {
    for (const digest of [...this.#uploads.keys()]) this.release(digest)
  }

  #keep(held: HeldTree): void {
    const timer = setTimeout(() => this.release(held.digest), LIMITS.UPLOAD_IDLE_MS)
    this.#uploads.set(held.digest, { held, timer })
  }
}

function stateOf({ digest, missing }: HeldTree): TreeUpload {
  const ranges: [first: number, count: number][] = []
  for (const chunk of missing()) {
    const last = ranges.at(-1)
    if (last !== undefined && last[0] + last[1] === chunk) last[1] += 1
    else if (ranges.length === LIMITS.UPLOAD_RANGES_MAX) break
    else ranges.push([chunk, 1])
  }
  return { schema: 'talkoot.tree/1', digest, missing: ranges }
}

/** One chunk is held at a time. */
async function* cut(
  { layout }: Pick<HeldTree, 'layout'>,
  { first, count }: ChunksQuery,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<[number, Uint8Array]> {
  let number = first
  let room = pieceOf(number)
  let filled = 0
  for await (const part of bytes) {
    for (let from = 0; from < part.length; ) {
      if (number === first + count) throw new TalkootError('E_BLOB', `more bytes came than those of ${count} chunks`)
      const taken = Math.min(room.length - filled, part.length - from)
      room.set(part.subarray(from, from + taken), filled)
      filled += taken
      from += taken
      if (filled < room.length) continue
      yield [number, room]
      number += 1
      filled = 0
      if (number < first + count) room = pieceOf(number)
    }
  }
  if (number !== first + count) throw new TalkootError('E_BLOB', `${first + count - number} chunks did not come`)

  function pieceOf(chunk: number): Uint8Array {
    const known = layout.chunk(chunk)
    if (known === undefined) throw new TalkootError('E_NOT_FOUND', `there is no chunk ${chunk}`)
    return new Uint8Array(known.bytes)
  }
}
