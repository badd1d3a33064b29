/** The routines that make a mesh out of members: say what one offers, look for peers and for work, forget the dead. */

import { start, stop } from '@libp2p/interface'
import type { Ad } from '../../protocol/ad.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Connector } from './connector.ts'
import type { MeshHost } from './host.ts'
import { Neighbourhood } from './neighbourhood.ts'
import type { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'
import { type Capability, Rendezvous } from './rendezvous.ts'
import { type RoutingTable, routingTableOf } from './routing-table.ts'

/**
 * Newcomers are introduced: looks are for those that come back after a cut, and for a worker behind a firewall it does not know of,
 * which must find submitters that cannot reach it. One look asks k nodes, some 40 kB in a mesh of 20: a node that finds nobody
 * new looks less and less often.
 */
export const LOOK_FOR_PEERS_MS = 30_000
const LOOK_FOR_PEERS_LONGEST_MS = 5 * 60_000
const PEER_LEFT_LOOK_MS = 10_000
export const EAGER_GROWTH = 4
export const LOOK_FOR_WORK_MS = 30_000
const LOOK_FOR_WORK_LONGEST_MS = 4 * 60_000
/** Who can only dial out is given work only by those it found. */
const LOOK_FOR_WORK_OUTBOUND_MS = 10_000
const LOOK_FOR_WORK_OUTBOUND_LONGEST_MS = 30_000
/** While it is alone; otherwise the DHT tells it of the others. */
const ASK_LAN_MS = 10_000
export const SWEEP_MS = 5 * 60_000
export const SWEEP_CONTACTS = 16
export const WORK_PROVIDERS = 8

type DiscoveryComponents = {
  host: MeshHost
  mesh: string
  peers: PeerTable
  connector: Connector
  outboundOnly: boolean
  describe(): Pick<Ad, 'freeSlots'>
}

export class Discovery {
  readonly #components: DiscoveryComponents
  readonly #neighbourhood: Neighbourhood
  readonly #rendezvous: Rendezvous
  readonly #table: RoutingTable
  readonly #pulses: Pulse[]
  readonly #lookForPeers: Pulse
  readonly #lookForWork: Pulse
  #wantsWork = false
  /** Peers there were when all was last done at once for one that came. */
  #eagerAt = 0

  constructor(components: DiscoveryComponents) {
    this.#components = components
    const { host, mesh, outboundOnly } = components
    this.#table = routingTableOf(host)
    this.#table.addEventListener('peer:add', () => this.#contactAdded())
    this.#neighbourhood = new Neighbourhood(host, this.#table.kBucketSize)
    this.#rendezvous = new Rendezvous({
      host,
      mesh,
      neighbourhood: this.#neighbourhood,
      offers: () => this.#offers(),
    })
    this.#lookForPeers = new Pulse(LOOK_FOR_PEERS_MS, () => this.#seekPeers(), LOOK_FOR_PEERS_LONGEST_MS)
    this.#lookForWork = outboundOnly
      ? new Pulse(LOOK_FOR_WORK_OUTBOUND_MS, () => this.#seekWork(), LOOK_FOR_WORK_OUTBOUND_LONGEST_MS)
      : new Pulse(LOOK_FOR_WORK_MS, () => this.#seekWork(), LOOK_FOR_WORK_LONGEST_MS)
    this.#pulses = [
      this.#lookForPeers,
      this.#lookForWork,
      new Pulse(SWEEP_MS, () => this.sweep()),
      new Pulse(ASK_LAN_MS, () => this.#askLan()),
    ]
  }

  get tableSize(): number {
    return this.#table.size
  }

  start(): void {
    this.#rendezvous.start()
    for (const pulse of this.#pulses) pulse.start()
  }

  stop(): void {
    this.#rendezvous.stop()
    for (const pulse of this.#pulses) pulse.stop()
  }

  /**
   * A peer came: the DHT may know more now, and there are more to tell what we offer. Whenever they are four times as many: if all
   * of a mesh that forms did so with each that comes, the work would grow with the square of its size.
   */
  peerJoined(): void {
    const { size } = this.#components.peers
    if (size > LIMITS.PEERS_WANTED || size < EAGER_GROWTH * this.#eagerAt) return
    this.#eagerAt = size
    this.#rendezvous.refresh()
    this.#lookForPeers.hurry(500)
    this.#lookForWork.hurry(500)
  }

  /** Someone else may take its place. */
  peerLeft(): void {
    this.#eagerAt = Math.min(this.#eagerAt, this.#components.peers.size)
    const { peers, connector } = this.#components
    if (peers.size < connector.target) this.#lookForPeers.hurry(PEER_LEFT_LOOK_MS)
  }

  wantWork(wanted: boolean): void {
    if (this.#wantsWork === wanted) return
    this.#wantsWork = wanted
    this.#components.connector.target = wanted ? LIMITS.PEERS_WANTED : LIMITS.PEERS_KEPT
    this.#rendezvous.refresh()
    if (wanted) this.#lookForPeers.hurry(500)
  }

  /**
   * Pings contacts of the routing table that are not connected, a few at a time, and removes the dead: the table itself keeps
   * them, and each costs every later lookup a dial timeout.
   */
  async sweep(): Promise<void> {
    const { host } = this.#components
    const idle = [...this.#table.kb.toIterable()].filter(({ peerId }) => host.getConnections(peerId).length === 0)
    const chosen = idle.sort(() => Math.random() - 0.5).slice(0, SWEEP_CONTACTS)
    await Promise.all(
      chosen.map(async ({ peerId }) => {
        try {
          await host.dial(peerId, { signal: AbortSignal.timeout(LIMITS.DIAL_TIMEOUT_MS) })
        } catch {
          await this.#table.remove(peerId)
        }
      }),
    )
  }

  /** The first of them opens the DHT: what was looked for and provided before met nobody. */
  #contactAdded(): void {
    if (this.#table.size > 1) return
    this.#rendezvous.refresh()
    this.#lookForPeers.hurry(500)
    this.#lookForWork.hurry(500)
  }

  async #askLan(): Promise<void> {
    const { host, peers } = this.#components
    const { lan } = host.services
    if (lan === undefined || peers.size > 0) return
    // It asks when it starts.
    await stop(lan)
    await start(lan)
  }

  #offers(): Capability[] {
    if (this.#components.outboundOnly) return []
    return this.#wantsWork ? ['peer', 'work-wanted'] : ['peer']
  }

  async #seekPeers(): Promise<'idle' | undefined> {
    const { peers, connector } = this.#components
    // Those it was introduced to come first.
    const missing = connector.target - peers.size - connector.promising
    let news = 0
    if (missing <= 0) return 'idle'
    for await (const { id, addresses } of this.#rendezvous.find('peer', missing)) {
      if (connector.suggest(id, addresses)) news++
    }
    return news === 0 ? 'idle' : undefined
  }

  async #seekWork(): Promise<'idle' | undefined> {
    const { connector, describe } = this.#components
    if (describe().freeSlots === 0) return undefined
    if (Math.random() > workLookShare(this.#neighbourhood.size)) return 'idle'
    let news = 0
    for await (const { id, addresses } of this.#rendezvous.find('work-wanted', WORK_PROVIDERS)) {
      if (connector.suggest(id, addresses, { needed: true })) news++
    }
    return news === 0 ? 'idle' : undefined
  }
}

/**
 * The share of the times to look for work at which a node of a mesh of this size does. In a large mesh a look costs more, and there
 * are more to look: those who submit find the first workers themselves, and more come within minutes.
 */
export function workLookShare(meshSize: number): number {
  return Math.max(0.1, Math.min(1, LIMITS.PEERS_WANTED / meshSize))
}
