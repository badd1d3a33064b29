/** One life of the node in one mesh: from start to stop, or to the joining of another mesh. */

import type { Connection, PrivateKey } from '@libp2p/interface'
import type { Ad, SignedAd } from '../../protocol/ad.ts'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Signer } from '../../protocol/signatures.ts'
import { type AdmissionComponents, greet, receive } from './admission.ts'
import { type AdContent, AdPress, AdReader } from './ads.ts'
import { FramedChannel } from './channel.ts'
import { Connector } from './connector.ts'
import { createHost, type HostInit, type MeshHost } from './host.ts'
import { Membership } from './membership.ts'
import type { AdmittedPeer, Channel, MeshEvent } from './mesh.ts'
import { PeerTable } from './peers.ts'
import type { Refusals } from './refusals.ts'
import type { MeshFacts, MeshStore } from './store.ts'
import { TokenDesk } from './tokens.ts'

export type Handler = (channel: Channel, peer: AdmittedPeer) => Promise<void>

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
  readonly #components: SessionComponents
  readonly #init: HostInit
  readonly #press: AdPress
  readonly #reader: AdReader
  readonly #connector: Connector
  #ownAd: Promise<SignedAd> | undefined

  static async open(components: SessionComponents, init: HostInit, facts: MeshFacts): Promise<Session> {
    const membership = await Membership.load(components.store, components.signer, facts)
    let session: Session | undefined
    const running = () => {
      if (session === undefined) throw new TalkootError('E_UNREACHABLE', 'the mesh is starting')
      return session
    }
    const host = await createHost(
      components.key,
      facts.id,
      {
        greet: async (talk, peer) => {
          const at = running()
          at.peers.expect(await greet(talk, peer, at.#admission()))
        },
        receive: async (talk, peer, address) => {
          const at = running()
          at.peers.expect(await receive(talk, peer, address, at.#admission()))
        },
        refusals: components.refusals,
      },
      init,
    )
    session = new Session(components, init, membership, host)
    return session
  }

  private constructor(components: SessionComponents, init: HostInit, membership: Membership, host: MeshHost) {
    const { store, signer, refusals } = components
    this.#components = components
    this.#init = init
    this.membership = membership
    this.host = host
    this.desk = new TokenDesk(store, membership)
    this.#press = new AdPress(store, signer)
    this.#reader = new AdReader(membership.facts.id)
    this.peers = new PeerTable((event) => this.#onPeerEvent(event))
    this.#connector = new Connector({ host, store, peers: this.peers, refusals })
  }

  async start(handlers: ReadonlyMap<string, Handler>): Promise<void> {
    this.host.addEventListener('connection:open', ({ detail }) => this.#opened(detail))
    this.host.addEventListener('connection:close', ({ detail }) => this.peers.closed(detail))
    this.host.addEventListener('peer:discovery', ({ detail }) => {
      this.#connector.suggest(detail.id.toString(), detail.multiaddrs)
    })
    for (const [protocol, handler] of handlers) await this.handle(protocol, handler)
    await this.host.start()
    this.#connector.start()
  }

  async stop(): Promise<void> {
    this.#connector.stop()
    await this.host.stop()
    this.peers.clear()
  }

  async handle(protocol: string, handler: Handler): Promise<void> {
    await this.host.handle(
      protocol,
      async (stream, connection) => {
        const peer = this.peers.view(connection.remotePeer.toString())
        if (peer === undefined) return stream.abort(new TalkootError('E_NOT_MEMBER', 'not admitted'))
        const channel = new FramedChannel(stream, peer.id, (code, why) => this.#violation(connection, code, why))
        try {
          await handler(channel, peer)
          await channel.close()
        } catch (thrown) {
          const { code, message } = TalkootError.from(thrown)
          channel.abort(code, message)
        }
      },
      { maxInboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX, maxOutboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX },
    )
  }

  /** @throws E_UNREACHABLE, E_PROTOCOL_VERSION when the peer serves no such protocol */
  async open(peer: string, protocol: string, signal: AbortSignal): Promise<Channel> {
    const connection = [...(this.peers.get(peer)?.connections ?? [])].find(({ status }) => status === 'open')
    if (connection === undefined) throw new TalkootError('E_UNREACHABLE', `not connected to ${peer}`)
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
      const maxOutboundStreams = LIMITS.CHANNELS_PER_CONNECTION_MAX
      const stream = await connection.newStream(protocol, { signal: limit, maxOutboundStreams })
      return new FramedChannel(stream, peer, (code, why) => this.#violation(connection, code, why))
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'UnsupportedProtocolError') {
        throw new TalkootError('E_PROTOCOL_VERSION', `the peer does not serve ${protocol}`, { cause })
      }
      throw TalkootError.from(cause, 'E_UNREACHABLE')
    }
  }

  cut(peer: string, code: ErrorCode): void {
    this.peers.leaving(peer, code)
    for (const connection of this.peers.get(peer)?.connections ?? []) {
      connection.abort(new TalkootError(code, 'disconnected'))
    }
  }

  addresses(): string[] {
    return this.host.getMultiaddrs().map(String).slice(0, LIMITS.TOKEN_ADDRESSES_MAX)
  }

  #admission(): AdmissionComponents {
    const { signer, refusals } = this.#components
    return {
      self: signer.peer,
      membership: this.membership,
      desk: this.desk,
      refusals,
      ownAd: () => this.#currentAd(),
      acceptAd: (peer, signed): Promise<Ad> => this.#reader.read(peer, signed),
    }
  }

  #currentAd(): Promise<SignedAd> {
    this.#ownAd ??= this.#press.print(this.#components.describe(), {
      mesh: this.membership.facts.id,
      reach: this.#init.outboundOnly ? 'outbound' : 'dialable',
      addresses: this.addresses(),
    })
    return this.#ownAd
  }

  #opened(connection: Connection): void {
    if (!this.peers.opened(connection)) connection.abort(new TalkootError('E_NOT_MEMBER', 'not admitted'))
  }

  #onPeerEvent(event: MeshEvent): void {
    if (event.type === 'peer.joined') this.#connector.admitted(event.peer.id, event.peer.ad.addresses)
    if (event.type === 'peer.left') this.#connector.lost(event.id, event.code === 'E_UNREACHABLE')
    this.#components.emit(event)
  }

  #violation(connection: Connection, code: ErrorCode, message: string): void {
    const peer = connection.remotePeer.toString()
    this.#components.refusals.add({ peer, address: connection.remoteAddr.toString(), code, message, by: 'ours' })
  }
}
