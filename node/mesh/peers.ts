/** The peers admitted and connected now, and the events of their coming and going. */

import type { Connection } from '@libp2p/interface'
import type { Ad, SignedAd } from '../../protocol/ad.ts'
import type { ErrorCode } from '../../protocol/errors.ts'
import type { Admission } from './admission.ts'
import type { AdmittedPeer, MeshEvent } from './mesh.ts'

/** How long an admission waits for its connection: the muxer comes between the two. */
const ADMISSION_WAIT_MS = 10_000

export type PeerEntry = {
  admission: Admission
  ad: Ad
  /** The same as it came: to be shown to others. */
  signed: SignedAd
  /** When the ad stops standing, by this node's monotonic clock. */
  adUntil: number
  /** Open connections; two after a simultaneous dial. */
  connections: Set<Connection>
  /** Whether it dialled this node, or the connector dialled it; the DHT dials for one question. */
  isWanted: boolean
  openedAt: number
  heardAt: number
}

export class PeerTable {
  readonly #entries = new Map<string, PeerEntry>()
  readonly #waiting = new Map<string, { admission: Admission; timer: NodeJS.Timeout }>()
  readonly #emit: (event: MeshEvent) => void

  constructor(emit: (event: MeshEvent) => void) {
    this.#emit = emit
  }

  /** The handshake admitted a peer; its connection follows. */
  expect(admission: Admission): void {
    const { peer } = admission
    clearTimeout(this.#waiting.get(peer)?.timer)
    const timer = setTimeout(() => this.#waiting.delete(peer), ADMISSION_WAIT_MS)
    timer.unref()
    this.#waiting.set(peer, { admission, timer })
  }

  /** False for a connection whose peer no handshake admitted. */
  opened(connection: Connection, { isWanted }: Pick<PeerEntry, 'isWanted'>): boolean {
    const id = connection.remotePeer.toString()
    const waiting = this.#waiting.get(id)
    const known = this.#entries.get(id)
    if (known !== undefined && isWanted) known.isWanted = true
    if (waiting === undefined) return known !== undefined && this.#addConnection(known, connection)
    const { admission } = waiting
    const now = performance.now()
    if (known !== undefined) {
      known.admission = admission
      known.heardAt = now
      this.takeAd(id, admission.ad, admission.signed)
      return this.#addConnection(known, connection)
    }
    const entry: PeerEntry = {
      admission,
      ad: admission.ad,
      signed: admission.signed,
      adUntil: now + admission.ad.ttlMs,
      connections: new Set([connection]),
      isWanted,
      openedAt: now,
      heardAt: now,
    }
    this.#entries.set(id, entry)
    this.#emit({ type: 'peer.joined', peer: admitted(id, entry) })
    return true
  }

  closed(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const entry = this.#entries.get(id)
    if (!entry?.connections.delete(connection) || entry.connections.size > 0) return
    this.drop(id, 'E_UNREACHABLE')
  }

  /** Keeps an ad already verified; a number older than the one held is ignored. */
  takeAd(id: string, ad: Ad, signed: SignedAd): void {
    const entry = this.#entries.get(id)
    if (entry === undefined || ad.seq < entry.ad.seq) return
    const news = ad.seq > entry.ad.seq
    entry.ad = ad
    entry.signed = signed
    entry.adUntil = performance.now() + ad.ttlMs
    if (news) this.#emit({ type: 'peer.ad', peer: admitted(id, entry) })
  }

  /** Takes the peer out now, whatever its connections do. */
  drop(id: string, code: ErrorCode): void {
    if (this.#entries.delete(id)) this.#emit({ type: 'peer.left', id, code })
  }

  heard(id: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) entry.heardAt = performance.now()
  }

  get(id: string): PeerEntry | undefined {
    return this.#entries.get(id)
  }

  entries(): [string, PeerEntry][] {
    return [...this.#entries]
  }

  get size(): number {
    return this.#entries.size
  }

  list(): AdmittedPeer[] {
    return this.entries().map(([id, entry]) => admitted(id, entry))
  }

  view(id: string): AdmittedPeer | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined ? undefined : admitted(id, entry)
  }

  /** The host is gone: everyone left. */
  clear(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
    for (const [id] of this.entries()) this.drop(id, 'E_UNREACHABLE')
  }

  #addConnection(entry: PeerEntry, connection: Connection): true {
    entry.connections.add(connection)
    return true
  }
}

function admitted(id: string, { admission, ad, connections }: PeerEntry): AdmittedPeer {
  const [connection] = connections
  return {
    id,
    role: admission.standing.role,
    ad,
    direction: connection?.direction ?? 'outbound',
    address: connection?.remoteAddr.toString() ?? '',
  }
}
