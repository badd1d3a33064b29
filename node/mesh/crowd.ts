/**
 * Keeps room for newcomers. Every connection here holds a stream, and libp2p closes none that does: without this a node of a
 * large mesh would fill up with those it once asked something, and then refuse whoever dials it.
 */

import type { ErrorCode } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Doors } from './doors.ts'
import type { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'

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

  /** Parts with idle peers until there are no more than allowed. By lot: no crowd can drive out the old, nor the old keep out the new. */
  thin(): void {
    const { peers, doors, cut } = this.#components
    const idle = peers.entries().flatMap(([id]) => (doors.isBusy(id) ? [] : [id]))
    while (idle.length > this.#idleMax) {
      for (const id of idle.splice(Math.floor(Math.random() * idle.length), 1)) cut(id, 'E_BUSY')
    }
  }
}
