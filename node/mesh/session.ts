/** One life of the node in one mesh: from start to stop, or to the joining of another mesh. Wires the parts together. */

import type { Connection, PrivateKey } from '@libp2p/interface'
import type { SignedAd } from '../../protocol/ad.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Chain, MeshFacts, SignedRevocation } from '../../protocol/membership/index.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { type AdmissionComponents, greet, receive } from './admission.ts'
import { type AdContent, AdPress, AdReader } from './ads.ts'
import { Connector } from './connector.ts'
import { Crowd } from './crowd.ts'
import { Discovery } from './discovery.ts'
import { Doors, type Handler } from './doors.ts'
import { holdQuestions, holdStreams } from './floods.ts'
import { Hearsay } from './hearsay.ts'
import { createHost, type HostInit, type MeshHost } from './host.ts'
import { renewFounder } from './identity.ts'
import { type Introduction, Introductions } from './introductions.ts'
import { Membership } from './membership.ts'
import type { Channel, HeardPeer, MeshEvent } from './mesh.ts'
import { PeerTable } from './peers.ts'
import { Pulse } from './pulse.ts'
import type { Refusals } from './refusals.ts'
import type { MeshStore } from './store.ts'
import { SYNC_PROTOCOL, Sync } from './sync.ts'
import { TokenDesk } from './tokens.ts'

/** Changes of an ad within this time become one. */
const AD_GATHER_MS = 250
/** While the owner has paused the machine the ad tells for how long: it is told again this often, and otherwise long before its end. */
const AD_LOOK_MS = 40_000
const AD_STANDS_MS = LIMITS.AD_TTL_MS / 3
const GOODBYE_MS = 1_000

const LOOPBACK = /^\/(ip4\/127\.|ip6\/::1\/)/

export type SessionComponents = {
  store: MeshStore
  key: PrivateKey
  signer: Signer
  refusals: Refusals
  describe(): AdContent
  emit(event: MeshEvent): void
}

export class Session {
  readonly membership: Membership
  readonly desk: TokenDesk
  readonly peers: PeerTable
  readonly host: MeshHost
  readonly doors: Doors
  readonly discovery: Discovery
  readonly #components: SessionComponents
  readonly #init: HostInit
  readonly #press: AdPress
  readonly #ads: AdReader
  readonly #connector: Connector
  readonly #hearsay: Hearsay
  readonly #introductions: Introductions
  readonly #sync: Sync
  readonly #crowd: Crowd
  readonly #reprint: Pulse
  /** Channels of the sync protocol that peers opened, by connection. */
  readonly #lifelines = new WeakMap<Connection, number>()
  readonly #stopped = new AbortController()
  #ownAd: Promise<SignedAd> | undefined
  #adStandsUntil = 0

  static async open(components: SessionComponents, init: HostInit, facts: MeshFacts): Promise<Session> {
    const membership = await Membership.load(components.store, components.signer, facts)
    const { promise: running, resolve } = Promise.withResolvers<Session>()
    const host = await createHost(
      components.key,
      facts.id,
      {
        greet: async (talk, peer) => {
          const session = await running
          session.peers.expect(await greet(talk, peer, session.#admission()))
        },
        receive: async (talk, peer, address) => {
          const session = await running
          session.peers.expect(await receive(talk, peer, address, session.#admission()))
        },
        refusals: components.refusals,
      },
      init,
    )
    const session = new Session(components, init, membership, host)
    resolve(session)
    return session
  }

  private constructor(components: SessionComponents, init: HostInit, membership: Membership, host: MeshHost) {
    const { store, signer, refusals, describe } = components
    const { outboundOnly } = init
    this.#components = components
    this.#init = init
    this.membership = membership
    this.host = host
    this.desk = new TokenDesk(store, membership)
    this.#press = new AdPress(store, signer)
    this.#ads = new AdReader(membership.facts.id)
    this.peers = new PeerTable((event) => this.#onPeerEvent(event))
    const { peers } = this
    this.doors = new Doors({ host, peers, refusals, cut: (peer, code) => this.cut(peer, code) })
    this.#hearsay = new Hearsay({ membership, ads: this.#ads })
    this.#connector = new Connector({
      host,
      store,
      peers,
      refusals,
      onUnanswered: (peer) => this.#hearsay.forget(peer),
    })
    this.#introductions = new Introductions({
      peers,
      hearsay: this.#hearsay,
      connector: this.#connector,
      outboundOnly,
    })
    const mesh = membership.facts.id
    this.discovery = new Discovery({ host, mesh, peers, connector: this.#connector, outboundOnly, describe })
    this.#sync = new Sync({
      peers,
      membership,
      ads: this.#ads,
      introductions: this.#introductions,
      currentAd: () => this.#currentAd(),
      cut: (peer, code) => this.cut(peer, code),
      keepChain: (chain) => this.#keepChain(chain),
      renewFounder: async () => this.#keepChain((await renewFounder(store, signer, membership.facts)).chain),
    })
    const { doors } = this
    this.#crowd = new Crowd(
      { peers, doors, cut: (peer, code) => this.cut(peer, code) },
      { idleMax: LIMITS.CONNECTIONS_IDLE_MAX },
    )
    this.#reprint = new Pulse(AD_LOOK_MS, () => this.#renewAd())
  }

  async start(handlers: ReadonlyMap<string, Handler>): Promise<void> {
    this.host.addEventListener('connection:open', ({ detail }) => this.#opened(detail))
    this.host.addEventListener('connection:close', ({ detail }) => this.peers.closed(detail))
    this.host.addEventListener('peer:discovery', ({ detail }) => {
      this.#connector.suggest(detail.id.toString(), detail.multiaddrs)
    })
    const onFlood = (peer: string, message: string) => this.#flooded(peer, message)
    holdQuestions(this.host, { onFlood })
    holdStreams(this.host, { onFlood })
    await this.doors.serveLifeline(SYNC_PROTOCOL, (channel, connection) => this.#oneOfFew(channel, connection))
    for (const [protocol, handler] of handlers) await this.doors.serve(protocol, handler)
    await this.host.start()
    for (const part of [this.#connector, this.#sync, this.#crowd, this.discovery, this.#reprint]) part.start()
  }

  /** What one channel may ask is bounded, so their number is: one, and one more where the first broke. */
  async #oneOfFew(channel: Channel, connection: Connection): Promise<void> {
    const open = this.#lifelines.get(connection) ?? 0
    if (open >= LIMITS.SYNC_CHANNELS_MAX)
      return channel.abort('E_FLOOD', 'the peer opened too many channels of one kind')
    this.#lifelines.set(connection, open + 1)
    try {
      await this.#lifeline(channel, connection)
    } finally {
      this.#lifelines.set(connection, (this.#lifelines.get(connection) ?? 1) - 1)
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const part of [this.#connector, this.#sync, this.#crowd, this.discovery, this.#reprint]) part.stop()
    await this.host.stop()
    this.peers.clear()
  }

  heardOf(): HeardPeer[] {
    return this.#introductions.heardOf()
  }

  adChanged(): void {
    this.#adStandsUntil = 0
    this.#reprint.hurry(AD_GATHER_MS)
  }

  spread(revocation: SignedRevocation): void {
    this.#sync.publishRevocations([revocation])
    this.#sync.recheckAll()
  }

  /** Out of `peers()` and off all its channels at once; its connections end when it was told why. */
  cut(peer: string, code: ErrorCode): void {
    const connections = [...(this.peers.get(peer)?.connections ?? [])]
    if (connections.length === 0) return
    this.#sync.bye(peer, code)
    this.peers.drop(peer, code)
    this.doors.endAll(peer, code)
    void hangUp(connections, code).then(() => this.#sync.gone(peer))
  }

  /** What it still does while it is told why is no news. */
  #flooded(peer: string, message: string): void {
    const known = this.peers.view(peer)
    if (known === undefined) return
    const { address } = known
    this.#components.refusals.add({ peer, address, code: 'E_FLOOD', message, by: 'ours' })
    this.cut(peer, 'E_FLOOD')
  }

  meet({ id, addresses }: Introduction): void {
    this.#connector.suggest(id, addresses, { needed: true })
  }

  /** What others are told to dial. Loopback comes last: it is worth a try only on the same machine. */
  addresses(): string[] {
    const all = this.host.getMultiaddrs().map(String)
    const loopback = all.filter((address) => LOOPBACK.test(address))
    return [...all.filter((address) => !loopback.includes(address)), ...loopback].slice(0, LIMITS.TOKEN_ADDRESSES_MAX)
  }

  #admission(): AdmissionComponents {
    const { signer, refusals } = this.#components
    const { membership, desk } = this
    return { self: signer.peer, membership, desk, refusals, ads: this.#ads, ownAd: () => this.#currentAd() }
  }

  #currentAd(): Promise<SignedAd> {
    this.#ownAd ??= this.#press.print(this.#components.describe(), {
      mesh: this.membership.facts.id,
      reach: this.#init.outboundOnly ? 'outbound' : 'dialable',
      addresses: this.addresses(),
    })
    this.#ownAd.catch(() => {
      this.#ownAd = undefined
    })
    return this.#ownAd
  }

  #renewAd(): void {
    const now = performance.now()
    if (now < this.#adStandsUntil && this.#components.describe().paused === null) return
    this.#adStandsUntil = now + AD_STANDS_MS
    this.#ownAd = undefined
    this.#sync.publishAd()
  }

  #keepChain(chain: Chain): void {
    this.membership.facts = { ...this.membership.facts, chain }
    this.#components.store.keepMesh(this.membership.facts)
  }

  #opened(connection: Connection): void {
    const isWanted = connection.direction === 'inbound' || this.#connector.isDialling(connection.remotePeer.toString())
    if (!this.peers.opened(connection, { isWanted })) {
      connection.abort(new TalkootError('E_NOT_MEMBER', 'not admitted'))
      return
    }
    // A revocation may have come between the handshake and now.
    this.#sync.recheck(connection.remotePeer.toString())
    if (connection.direction === 'outbound') void this.#dialLifeline(connection)
  }

  async #dialLifeline(connection: Connection): Promise<void> {
    try {
      await this.#lifeline(await this.doors.openLifeline(connection, SYNC_PROTOCOL, this.#stopped.signal), connection)
    } catch {
      connection.abort(new TalkootError('E_UNREACHABLE', 'the peer opens no sync channel'))
    }
  }

  /** A connection lives as long as its sync channel, and an offence there ends all connections of the peer. */
  async #lifeline(channel: Channel, connection: Connection): Promise<void> {
    try {
      await this.#sync.attach(channel)
      await connection.close()
    } catch (thrown) {
      const { code, message } = TalkootError.from(thrown)
      channel.abort(code, message)
      if (code === 'E_UNREACHABLE') connection.abort(new TalkootError(code, message))
      else this.cut(channel.peer, code)
    }
  }

  #onPeerEvent(event: MeshEvent): void {
    if (event.type !== 'peer.ad') this.#hearsay.forget(event.type === 'peer.left' ? event.id : event.peer.id)
    if (event.type === 'peer.joined') {
      this.#connector.admitted(event.peer.id, event.peer.ad.addresses)
      this.discovery.peerJoined()
      this.#sync.introduce(event.peer.id)
    }
    if (event.type === 'peer.left') {
      this.#connector.lost(event.id, event.code)
      this.discovery.peerLeft()
    }
    this.#components.emit(event)
  }
}

/** The peer hangs up when it has read why; one that does not is hung up on after a moment. */
async function hangUp(connections: Connection[], code: ErrorCode): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, GOODBYE_MS)
  const closed = connections.map((connection) => new Promise((done) => connection.addEventListener('close', done)))
  await Promise.race([late, Promise.all(closed)])
  clearTimeout(timer)
  for (const connection of connections) connection.abort(new TalkootError(code, 'disconnected'))
}
