/** What a peer of the DHT answers, held to a number: the library dials, stores and sorts however many peers an answer names. */

import { LIMITS } from '../../protocol/limits.ts'

type Answer = { closer: unknown[]; providers: unknown[] }

/** What is used of the library's network; it does not export this type. */
export type DhtNetwork = {
  /** Tells of each peer in the answer, as an event `peer`, before it gives it. */
  _writeReadMessage(...asked: unknown[]): Promise<Answer>
  safeDispatchEvent(type: string, init?: object): boolean
}

export const networkOf = (host: { services: { dht: unknown } }): DhtNetwork =>
  (host.services.dht as { network: DhtNetwork }).network

/** Of the further ones nothing is heard. */
export function holdAnswers(network: DhtNetwork): void {
  const ask = network._writeReadMessage.bind(network)
  const tell = network.safeDispatchEvent.bind(network)
  /** In this turn of the event loop: those of one answer are told of in one. */
  let told = 0

  network._writeReadMessage = async (...asked) => {
    const answer = await ask(...asked)
    for (const list of [answer.closer, answer.providers]) list.splice(LIMITS.DHT_ANSWER_PEERS_MAX)
    return answer
  }
  network.safeDispatchEvent = (type, init) => {
    if (type !== 'peer') return tell(type, init)
    if (told === 0) {
      setImmediate(() => {
        told = 0
      })
    }
    told += 1
    return told <= LIMITS.DHT_ANSWER_PEERS_MAX && tell(type, init)
  }
}
