/**
 * Noise and then the mesh's handshake, as one libp2p connection encrypter.
 *
 * Why here and not as a protocol with stream middleware: a stream needs a muxer, and from then on a stranger may list
 * protocols, open streams and be answered by whatever was not guarded. libp2p knows a connection only once this returns,
 * so every dial, the DHT's own included, either ends in an admitted peer or fails.
 */

import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, MessageStream, MultiaddrConnection, SecuredConnection } from '@libp2p/interface'
import { TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { Enrolled } from './admission.ts'
import { HELLO_PROTOCOL, HelloTalk, RefusedByPeer } from './hello.ts'
import type { Refusals } from './refusals.ts'

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0]

export type Handshakes = {
  greet(talk: HelloTalk, peer: string): Promise<void>
  receive(talk: HelloTalk, peer: string, host: string): Promise<void>
  refusals: Refusals
}

export function meshEncrypter(handshakes: Handshakes): (components: NoiseComponents) => ConnectionEncrypter {
  return (components) => {
    const inner = noise()(components)
    return {
      protocol: HELLO_PROTOCOL,
      secureOutbound: async (connection, options) => {
        const signal = boundedSignal(options?.signal)
        const secured = await inner.secureOutbound(connection, { ...options, signal })
        const peer = secured.remotePeer.toString()
        return await settle(secured, signal, connection, handshakes.refusals, (talk) => handshakes.greet(talk, peer))
      },
      secureInbound: async (connection, options) => {
        const signal = boundedSignal(options?.signal)
        const secured = await inner.secureInbound(connection, { ...options, signal })
        const peer = secured.remotePeer.toString()
        const host = hostOf(connection)
        return await settle(secured, signal, connection, handshakes.refusals, (talk) =>
          handshakes.receive(talk, peer, host),
        )
      },
    }
  }
}

async function settle(
  secured: SecuredConnection,
  signal: AbortSignal,
  raw: MessageStream,
  refusals: Refusals,
  converse: (talk: HelloTalk) => Promise<void>,
): Promise<SecuredConnection> {
  const talk = new HelloTalk(secured.connection, signal)
  const peer = secured.remotePeer.toString()
  try {
    if (refusals.isBarred(peer)) throw new TalkootError('E_FLOOD', 'the peer flooded this node a short while ago')
    await converse(talk)
    talk.done()
    return secured
  } catch (thrown) {
    if (!(thrown instanceof Enrolled)) {
      const theirs = thrown instanceof RefusedByPeer
      const error = theirs ? thrown.refusal : TalkootError.from(thrown, 'E_HANDSHAKE')
      const { code, message } = error
      const by = theirs ? 'theirs' : 'ours'
      refusals.add({ peer, address: addressOf(raw), code, message, by })
      if (!theirs) await talk.refuse(error).catch(() => undefined)
    }
    // The upgrader keeps the message of what is thrown and drops the rest, so the code lives in `refusals`.
    throw thrown
  }
}

const boundedSignal = (signal: AbortSignal | undefined) =>
  AbortSignal.any([AbortSignal.timeout(LIMITS.HANDSHAKE_TIMEOUT_MS), ...(signal === undefined ? [] : [signal])])

const addressOf = (raw: MessageStream) => (raw as MultiaddrConnection).remoteAddr.toString()

const hostOf = (raw: MessageStream) => (raw as MultiaddrConnection).remoteAddr.getComponents()[0]?.value ?? 'unknown'
