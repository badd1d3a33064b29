/** What a peer may ask of the library under this mesh, held to a rate: each thing costs this node a millisecond or two of its one thread. */

import type { PeerId } from '@libp2p/interface'
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
