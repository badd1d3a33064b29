/** What a peer may ask of the library under this mesh, held to a rate: each thing costs this node a millisecond or two of its one thread. */

import type { Connection, PeerId, StreamMuxer } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { PeerAllowances } from './allowance.ts'

/** What is used of the library's server of the DHT; it does not export these types. */
type DhtServer = { handleMessage(peer: PeerId, question: Question): Promise<unknown> }
type Question = { closer: unknown[]; providers: unknown[] }

type Init = {
  /** Told of each that is too many. */
  onFlood(peer: string, message: string): void
  now?: () => number
}

/** The library answers whatever a connection carries. A question that names several peers costs as much as one for each. */
export function holdQuestions(host: { services: { dht: unknown } }, { onFlood, ...clock }: Init): void {
  const { rpc } = host.services.dht as { rpc: DhtServer }
  const handle = rpc.handleMessage.bind(rpc)
  const [burst, perSecond] = [LIMITS.DHT_BURST_QUESTIONS, LIMITS.DHT_QUESTIONS_PER_SECOND]
  const allowances = new PeerAllowances({ burst, perSecond, ...clock })

  rpc.handleMessage = async (peer, question) => {
    const named = question.closer.length + question.providers.length
    if (allowances.spend(peer.toString(), Math.max(1, named))) return await handle(peer, question)
    onFlood(peer.toString(), 'the peer asked the DHT too many questions')
    throw new TalkootError('E_FLOOD', 'too many questions')
  }
}

/**
 * Counts the streams a peer opens, on all its connections and whatever for, and resets one too many before it is looked at.
 *
 * Not by stream middleware: that comes when the protocol is agreed on, which costs more than most handlers, and is for one protocol;
 * nor can one trust it (test/mesh/traps.test.ts).
 */
export function holdStreams(host: Pick<Libp2p, 'addEventListener'>, { onFlood, ...clock }: Init): void {
  const [burst, perSecond] = [LIMITS.STREAM_BURST, LIMITS.STREAMS_PER_SECOND]
  const allowances = new PeerAllowances({ burst, perSecond, ...clock })

  host.addEventListener('connection:open', ({ detail: connection }) => {
    const peer = connection.remotePeer.toString()
    muxerOf(connection).addEventListener('stream', ({ detail: stream }) => {
      if (allowances.spend(peer)) return
      stream.abort(new TalkootError('E_FLOOD', 'too many streams'))
      onFlood(peer, 'the peer opened too many streams')
    })
  })
}

/** The library's connections have it, their type has not. */
export const muxerOf = (connection: Connection) => (connection as unknown as { muxer: StreamMuxer }).muxer
