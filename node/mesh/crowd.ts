/**
 * Keeps room for newcomers, and the machine quiet. Every connection here holds a stream, and libp2p closes none that does: without
 * this a node would stay connected to all it once asked something, each with its signs of life, and refuse whoever dials it when it is full.
 */

import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Doors } from './doors.ts'
import type { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'

/** The DHT may ask a peer again soon: a newcomer makes several lookups among the same. */
export const ASKED_STAYS_MS = 30_000

type Components = {
  peers: Pick<PeerTable, 'entries'>
  doors: Pick<Doors, 'isBusy'>
  cut(peer: string, code: ErrorCode): void
}

export class Crowd {
  readonly #components: Components
  readonly #idleMax: number
  readonly #pulse = new Pulse(LIMITS.PEER_BEAT_MS, () => this.thin())

  constructor(components: Components, init: { idleMax: number }) {
    this.#components = components
    this.#idleMax = init.idleMax
  }

  start(): void {
    this.#pulse.start()
  }

  stop(): void {
    this.#pulse.stop()
  }

  /**
   * Parts with idle peers: with those that the DHT dialled for a question, beyond the peers that are kept anyway; then by lot until
   * there are no more than allowed, so that no crowd can drive out the old, nor the old keep out the new.
   */
  thin(): void {
    const { peers, doors, cut } = this.#components
    const askedBefore = performance.now() - ASKED_STAYS_MS
    const entries = peers.entries()
    let surplus = entries.length - LIMITS.PEERS_KEPT
    const idle: string[] = []
    for (const [id, { isWanted, openedAt }] of entries) {
      if (doors.isBusy(id)) continue
      if (surplus > 0 && !isWanted && openedAt < askedBefore) {
        surplus -= 1
        cut(id, 'E_BUSY')
      } else idle.push(id)
    }
    while (idle.length > this.#idleMax) {
      for (const id of idle.splice(Math.floor(Math.random() * idle.length), 1)) cut(id, 'E_BUSY')
    }
  }
}
