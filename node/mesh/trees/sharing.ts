/** One tree that this node gives to others, whole or as far as it has come: to whom, and what it tells them of each other. */

import { LIMITS } from '../../../protocol/limits.ts'
import { type Introduction, introductionOf } from '../introductions.ts'
import type { AdmittedPeer } from '../mesh.ts'
import { Handout } from './handout.ts'
import type { Upload } from './upload.ts'

export class Sharing {
  readonly #random: () => number
  readonly #uploads = new Set<Upload>()
  /** Who asked last comes last; some may have all of it by now. */
  readonly #askers = new Map<string, Introduction>()
  #handout: Handout | undefined

  constructor(init: { random: () => number }) {
    this.#random = init.random
  }

  get idle(): boolean {
    return this.#uploads.size === 0
  }

  /** What is handed out of a tree that is here whole is counted over all who ask. */
  handout(chunks: number): Handout {
    this.#handout ??= new Handout(chunks, { random: this.#random, patienceMs: LIMITS.TREE_PATIENCE_MS })
    return this.#handout
  }

  opened(upload: Upload): void {
    this.#uploads.add(upload)
  }

  /** To an asker for whom there is no room here. */
  others(): Introduction[] {
    return [...this.#askers.values()]
  }

  /** An asker that has said what it has: from now on it may be asked by the others, and they by it. */
  joined(upload: Upload, peer: AdmittedPeer): void {
    const newcomer = introductionOf(peer) ?? { id: peer.id, addresses: [] }
    this.#askers.delete(peer.id)
    upload.introduce(this.others())
    for (const other of this.#uploads) if (other.peer !== peer.id) other.introduce([newcomer])
    this.#askers.set(peer.id, newcomer)
    const [oldest] = this.#askers.keys()
    if (this.#askers.size > LIMITS.TREE_FETCHERS_TOLD_MAX && oldest !== undefined) this.#askers.delete(oldest)
  }

  left(upload: Upload, nowMs: number): void {
    this.#uploads.delete(upload)
    this.#handout?.leave(upload.id, nowMs)
    // Who asks next is told who has it; what was handed out to them, and when, matters no more.
    if (this.idle) this.#handout = undefined
  }

  /** A chunk came here. */
  gained(chunk: number): void {
    for (const upload of this.#uploads) upload.gained(chunk)
  }
}
