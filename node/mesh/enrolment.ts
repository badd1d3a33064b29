/** Joining: a short-lived node that knows the token and nothing else dials the issuer and brings back a certificate. */

import { setTimeout as wait } from 'node:timers/promises'
import { noise } from '@chainsafe/libp2p-noise'
import type { PrivateKey } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { type ErrorCode, TalkootError } from '../../protocol/errors.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Chain, Token } from '../../protocol/membership/index.ts'
import { addressOfPeer } from './addresses.ts'
import { enrol } from './admission.ts'
import { HELLO_PROTOCOL, HelloTalk, RefusedByPeer } from './hello.ts'

/** The first of the waits between rounds; each is twice the last. */
const ROUND_WAIT_MS = 500

/** What a busy or restarting issuer ends in; any other refusal would be met again. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['E_HANDSHAKE', 'E_BUSY'])

/**
 * Tries each address in turn, `rounds` times: the issuer may be busy, or starting. A token may be redeemed again by the same peer, so
 * an answer that was lost costs nothing.
 * @throws the code of a refusal by either side, E_MESH_UNREACHABLE when no address answers
 */
export async function redeemToken(
  token: Token,
  key: PrivateKey,
  signal: AbortSignal,
  { rounds }: { rounds: number },
): Promise<Chain> {
  let outcome: Chain | TalkootError | undefined
  const node = await createLibp2p({
    privateKey: key,
    transports: [tcp()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: { dialTimeout: LIMITS.DIAL_TIMEOUT_MS, addressDialTimeout: LIMITS.DIAL_TIMEOUT_MS },
    connectionEncrypters: [
      (components) => {
        const inner = noise()(components)
        return {
          protocol: HELLO_PROTOCOL,
          secureInbound: () => Promise.reject(new TalkootError('E_HANDSHAKE', 'a joiner answers nobody')),
          secureOutbound: async (connection, options) => {
            const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.HANDSHAKE_TIMEOUT_MS)])
            const secured = await inner.secureOutbound(connection, { ...options, signal: limit })
            const talk = new HelloTalk(secured.connection, limit)
            try {
              outcome = await enrol(talk, node.peerId.toString(), token)
            } catch (thrown) {
              outcome = thrown instanceof RefusedByPeer ? thrown.refusal : TalkootError.from(thrown, 'E_HANDSHAKE')
              if (!(thrown instanceof RefusedByPeer)) await talk.refuse(outcome).catch(() => undefined)
            }
            throw new Error('the certificate was all this connection was for')
          },
        }
      },
    ],
  })
  try {
    for (let round = 0; round < rounds && !isSettled(outcome) && !signal.aborted; round++) {
      if (round > 0) await pause(ROUND_WAIT_MS * 2 ** (round - 1), signal)
      for (const address of token.addresses) {
        await dialOnce(node, address, token.issuer, signal)
        if (isSettled(outcome) || signal.aborted) break
      }
    }
  } finally {
    await node.stop()
  }
  if (outcome instanceof TalkootError) throw outcome
  if (outcome === undefined) {
    throw new TalkootError('E_MESH_UNREACHABLE', `none of ${token.addresses.join(', ')} answered as the token's issuer`)
  }
  return outcome
}

async function dialOnce(
  node: Awaited<ReturnType<typeof createLibp2p>>,
  address: string,
  issuer: string,
  signal: AbortSignal,
): Promise<void> {
  const target = addressOfPeer(address, issuer)
  if (target === undefined) return
  try {
    await node.dial(target, { signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.DIAL_TIMEOUT_MS)]) })
  } catch {
    // Every dial ends so, the successful one too: the outcome was told by the handshake.
  }
}

const isSettled = (outcome: Chain | TalkootError | undefined): boolean =>
  outcome !== undefined && !(outcome instanceof TalkootError && PASSING.has(outcome.code))

/** Many that were refused together come back apart. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
}
