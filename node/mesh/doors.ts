/** Channels out of and into libp2p streams: opened to admitted peers, served to admitted peers. */

import { setTimeout as wait } from 'node:timers/promises'
import type { Connection, Stream } from '@libp2p/interface'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { PeerAllowances } from './allowance.ts'
import { FramedChannel } from './channel.ts'
import type { MeshHost } from './host.ts'
import type { AdmittedPeer, Channel } from './mesh.ts'
import type { PeerTable } from './peers.ts'
import type { Refusals } from './refusals.ts'

export type Handler = (channel: Channel, peer: AdmittedPeer) => Promise<void>

/** What a peer does wrong on purpose or in error: it is disconnected for it. */
const OFFENCES: ReadonlySet<ErrorCode> = new Set(['E_FRAME', 'E_FRAME_TOO_BIG', 'E_FLOOD', 'E_AD_INVALID'])

/** What is told of a peer as well, and costs it no more than that: other protocols between the two may be in order. */
const BLEMISHES: ReadonlySet<ErrorCode> = new Set(['E_BLOB'])

const STREAM_LIMITS = {
  maxInboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX,
  maxOutboundStreams: LIMITS.CHANNELS_PER_CONNECTION_MAX,
}

/** Half of what a peer takes: the library opens streams too. */
const OPENINGS = { burst: LIMITS.STREAM_BURST / 2, perSecond: LIMITS.STREAMS_PER_SECOND / 2 }

type DoorsComponents = {
  host: MeshHost
  peers: PeerTable
  refusals: Refusals
  cut(peer: string, code: ErrorCode): void
}

export class Doors {
  readonly #host: MeshHost
  readonly #peers: PeerTable
  readonly #refusals: Refusals
  readonly #channels = new Map<string, Set<FramedChannel>>()
  readonly #openings = new PeerAllowances(OPENINGS)
  readonly #cut: (peer: string, code: ErrorCode) => void

  constructor(components: DoorsComponents) {
    this.#host = components.host
    this.#peers = components.peers
    this.#refusals = components.refusals
    this.#cut = components.cut
  }

  /** A handler that throws ends its own channel, with its code. */
  async serve(protocol: string, handler: Handler): Promise<void> {
    await this.#host.handle(
      protocol,
      async (stream, connection) => {
        const peer = this.#peers.view(connection.remotePeer.toString())
        if (peer === undefined) return stream.abort(new TalkootError('E_NOT_MEMBER', 'the peer is not admitted'))
        const channel = this.#track(this.#channel(stream, connection), stream)
        try {
          await handler(channel, peer)
          await channel.close()
        } catch (thrown) {
          const { code, message } = TalkootError.from(thrown)
          channel.abort(code, message)
        }
      },
      STREAM_LIMITS,
    )
  }

  /** Waits while the peer would take it for a flood. @throws E_UNREACHABLE, E_PROTOCOL_VERSION when it serves no such protocol */
  async open(peer: string, protocol: string, signal: AbortSignal): Promise<Channel> {
    await this.#turn(peer, signal)
    const connection = [...(this.#peers.get(peer)?.connections ?? [])].find(({ status }) => status === 'open')
    if (connection === undefined) throw new TalkootError('E_UNREACHABLE', `not connected to ${peer}`)
    const stream = await openStream(connection, protocol, signal)
    return this.#track(this.#channel(stream, connection), stream)
  }

  async #turn(peer: string, signal: AbortSignal): Promise<void> {
    try {
      while (!this.#openings.spend(peer)) await wait(1_000 / OPENINGS.perSecond, undefined, { signal })
    } catch (cause) {
      throw TalkootError.from(cause, 'E_UNREACHABLE')
    }
  }

  /** The channel a connection lives by: it outlasts `endAll`, since it carries the reason. */
  async openLifeline(connection: Connection, protocol: string, signal: AbortSignal): Promise<Channel> {
    return this.#channel(await openStream(connection, protocol, signal), connection)
  }

  async serveLifeline(
    protocol: string,
    handler: (channel: Channel, connection: Connection) => Promise<void>,
  ): Promise<void> {
    await this.#host.handle(
      protocol,
      (stream, connection) => handler(this.#channel(stream, connection), connection),
      STREAM_LIMITS,
    )
  }

  /** Whether any channel but the lifeline is open. */
  isBusy(peer: string): boolean {
    return this.#channels.has(peer)
  }

  endAll(peer: string, code: ErrorCode): void {
    for (const channel of this.#channels.get(peer) ?? []) channel.end(code, 'disconnected')
  }

  #track(channel: FramedChannel, stream: Stream): FramedChannel {
    if (stream.status !== 'open') return channel
    const channels = this.#channels.get(channel.peer) ?? new Set()
    this.#channels.set(channel.peer, channels.add(channel))
    stream.addEventListener('close', () => {
      channels.delete(channel)
      if (channels.size === 0 && this.#channels.get(channel.peer) === channels) this.#channels.delete(channel.peer)
    })
    return channel
  }

  #channel(stream: Stream, connection: Connection): FramedChannel {
    return new FramedChannel(stream, connection.remotePeer.toString(), this.#reporter(connection))
  }

  #reporter(connection: Connection): (code: ErrorCode, message: string) => void {
    return (code, message) => {
      const offence = OFFENCES.has(code)
      if (!offence && !BLEMISHES.has(code)) return
      const peer = connection.remotePeer.toString()
      this.#refusals.add({ peer, address: connection.remoteAddr.toString(), code, message, by: 'ours' })
      if (offence) this.#cut(peer, code)
    }
  }
}

async function openStream(connection: Connection, protocol: string, signal: AbortSignal): Promise<Stream> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.REQUEST_TIMEOUT_MS)])
    return await connection.newStream(protocol, { ...STREAM_LIMITS, signal: limit })
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'UnsupportedProtocolError') {
      throw new TalkootError('E_PROTOCOL_VERSION', `the peer does not serve ${protocol}`, { cause })
    }
    throw TalkootError.from(cause, 'E_UNREACHABLE')
  }
}
