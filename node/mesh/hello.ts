/**
 * The handshake that makes a connection one of the mesh. It runs inside noise, which has authenticated both peer ids, and
 * before the muxer, so whoever is not admitted never opens a stream: no DHT, no identify, no ping, no list of protocols.
 *
 *     D (dialler)                                   R (responder)
 *     hello  {v, mesh: hash(mesh id, D, R)}    ->                      names the mesh without telling it
 *                                              <-   proof   {chain}    R is of that mesh; D checks before it says more
 *     member {chain, ad, revoked}              ->
 *                                              <-   welcome {ad, revoked}
 *     ready                                    ->
 *
 * A joiner says `join {token, secret}` in place of `member`, is answered `enrolled {chain}` and dials again as a member.
 * Either side may say `refuse {code, message}` in its turn; then both know why.
 */

import { createHash } from 'node:crypto'
import type { MessageStream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { z } from 'zod'
import { signedAdSchema } from '../../protocol/ad.ts'
import { bytesSchema } from '../../protocol/bytes.ts'
import { canonicalBytes, decodeCanonical } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { parseToFirstFault } from '../../protocol/first-fault.ts'
import { LIMITS } from '../../protocol/limits.ts'
import { chainSchema } from '../../protocol/membership/index.ts'

export const HELLO_PROTOCOL = '/talkoot/hello/1'

const refuseSchema = z.strictObject({
  t: z.literal('refuse'),
  code: z.string().max(40),
  message: z.string().max(500),
})
const revoked = z.string().max(60)

export const helloSchema = z.strictObject({ t: z.literal('hello'), v: z.literal(1), mesh: bytesSchema(32) })
export const proofSchema = z.strictObject({ t: z.literal('proof'), chain: chainSchema })
export const credentialSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('member'), chain: chainSchema, ad: signedAdSchema, revoked }),
  z.strictObject({ t: z.literal('join'), token: z.string().max(32), secret: bytesSchema(16) }),
])
export const welcomeSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('welcome'), ad: signedAdSchema, revoked }),
  z.strictObject({ t: z.literal('enrolled'), chain: chainSchema }),
])
export const readySchema = z.strictObject({ t: z.literal('ready') })

type HelloMessage =
  | z.infer<typeof helloSchema>
  | z.infer<typeof proofSchema>
  | z.infer<typeof credentialSchema>
  | z.infer<typeof welcomeSchema>
  | z.infer<typeof readySchema>

/** Binds the mesh id to this pair of peers: worth nothing to whoever does not know the id, and nothing elsewhere. */
export function meshTag(mesh: string, dialler: string, responder: string): Uint8Array {
  const text = `talkoot/1/hello\0${mesh}\0${dialler}\0${responder}`
  return Uint8Array.from(createHash('sha256').update(text).digest())
}

/** What the other side said when it refused. Kept apart from refusals of our own, which we must still send. */
export class RefusedByPeer extends Error {
  readonly refusal: TalkootError

  constructor(refusal: TalkootError) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/** One side's turns of the handshake over a secured connection; reads are bounded in size and by the signal. */
export class HelloTalk {
  readonly #stream: MessageStream
  readonly #frames: ReturnType<typeof lpStream<MessageStream>>
  readonly #signal: AbortSignal

  constructor(stream: MessageStream, signal: AbortSignal) {
    this.#stream = stream
    this.#signal = signal
    this.#frames = lpStream(stream, {
      maxDataLength: LIMITS.HELLO_MAX_BYTES,
      maxBufferSize: 2 * LIMITS.HELLO_MAX_BYTES,
    })
  }

  async say(message: HelloMessage): Promise<void> {
    await this.#frames.write(canonicalBytes(message), { signal: this.#signal })
  }

  /** @throws RefusedByPeer, E_HANDSHAKE */
  async hear<T>(schema: z.ZodType<T>): Promise<T> {
    let message: unknown
    try {
      message = decodeCanonical((await this.#frames.read({ signal: this.#signal })).subarray())
    } catch (cause) {
      throw new TalkootError('E_HANDSHAKE', 'the handshake broke off', { cause })
    }
    const refusal = parseToFirstFault(refuseSchema, message)
    if (refusal.success) throw new RefusedByPeer(TalkootError.fromObject(refusal.data))
    const parsed = parseToFirstFault(schema, message)
    if (!parsed.success) throw new TalkootError('E_HANDSHAKE', 'the peer sent another message than was its turn')
    return parsed.data
  }

  /** Says why and waits, bounded, for the other side to hang up: an abort at once would overtake the message. */
  async refuse(error: TalkootError): Promise<void> {
    const bytes = canonicalBytes({ t: 'refuse', code: error.code, message: error.message.slice(0, 500) })
    await this.#frames.write(bytes, { signal: this.#signal })
    await this.hungUp()
  }

  async hungUp(): Promise<void> {
    await this.#frames
      .read({ signal: AbortSignal.any([this.#signal, AbortSignal.timeout(1_000)]) })
      .catch(() => undefined)
  }

  /** Gives the stream back for the muxer. */
  done(): void {
    this.#frames.unwrap()
  }

  get stream(): MessageStream {
    return this.#stream
  }
}
