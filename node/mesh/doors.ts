/** Channels out of and into libp2p streams: opened to admitted peers, served to admitted peers. */

import type { Connection } from '@libp2p/interface'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { FramedChannel } from './channel.ts'
import type { MeshHost } from './host.ts'
import type { AdmittedPeer, Channel } from './mesh.ts'
import type { PeerTable } from './peers.ts'
import type { Refusals } from './refusals.ts'

export type Handler = (channel: Channel, peer: AdmittedPeer) => Promise<void>

/** What a peer does wrong on purpose or in error: it is disconnected for it. */
const OFFENCES: ReadonlySet<ErrorCode> = new Set(['E_FRAME', 'E_FRAME_TOO_BIG', 'E_FLOOD', 'E_AD_INVALID'])

const STREAM_LIMITS = {
  maxInboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX,
  maxOutboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX,
}

export class Doors {
  readonly #host: MeshHost
  readonly #peers: PeerTable
  readonly #refusals: Refusals

  constructor(components: { host: MeshHost; peers: PeerTable; refusals: Refusals }) {
    this.#host = components.host
    this.#peers = components.peers
    this.#refusals = components.refusals
  }

  /** @param handler also told the connection the channel came by */
  async serve(
    protocol: string,
    handler: (channel: Channel, peer: AdmittedPeer, connection: Connection) => Promise<void>,
  ): Promise<void> {
    await this.#host.handle(
      protocol,
      async (stream, connection) => {
        const peer = this.#peers.view(connection.remotePeer.toString())
        if (peer === undefined) return stream.abort(new TalkootError('E_NOT_MEMBER', 'the peer is not admitted'))
        const channel = new FramedChannel(stream, peer.id, this.#reporter(connection))
        try {
          await handler(channel, peer, connection)
          await channel.close()
        } catch (thrown) {
          const { code, message } = TalkootError.from(thrown)
          channel.abort(code, message)
        }
      },
      STREAM_LIMITS,
    )
  }

  /** @throws E_UNREACHABLE, E_PROTOCOL_VERSION when the peer serves no such protocol */
  async open(peer: string, protocol: string, signal: AbortSignal): Promise<Channel> {
    const connection = [...(this.#peers.get(peer)?.connections ?? [])].find(({ status }) => status === 'open')
    if (connection === undefined) throw new TalkootError('E_UNREACHABLE', `not connected to ${peer}`)
    return await this.openOn(connection, protocol, signal)
  }

  async openOn(connection: Connection, protocol: string, signal: AbortSignal): Promise<Channel> {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
      const stream = await connection.newStream(protocol, { ...STREAM_LIMITS, signal: limit })
      return new FramedChannel(stream, connection.remotePeer.toString(), this.#reporter(connection))
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'UnsupportedProtocolError') {
        throw new TalkootError('E_PROTOCOL_VERSION', `the peer does not serve ${protocol}`, { cause })
      }
      throw TalkootError.from(cause, 'E_UNREACHABLE')
    }
  }

  #reporter(connection: Connection): (code: ErrorCode, message: string) => void {
    return (code, message) => {
      if (!OFFENCES.has(code)) return
      const peer = connection.remotePeer.toString()
      this.#refusals.add({ peer, address: connection.remoteAddr.toString(), code, message, by: 'ours' })
    }
  }
}
