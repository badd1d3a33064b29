/** Bytes by their digest, from peer to peer: one request a channel, answered in chunks, checked at the end. */

import { z } from 'zod'
import { bytesSchema } from '../../protocol/bytes.ts'
import { DIGEST_PATTERN, type Digest, digestOf } from '../../protocol/canonical.ts'
import { TalkootError } from '../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts'
import { LIMITS } from '../../protocol/limits.ts'
import type { Channel, Mesh } from './mesh.ts'

const BLOB_PROTOCOL = '/talkoot/blob/1'

const requestSchema = z.strictObject({ digest: z.string().regex(DIGEST_PATTERN) })
const answerSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('chunk'), bytes: bytesSchema(LIMITS.BLOB_CHUNK_BYTES) }),
  z.strictObject({ t: z.literal('end') }),
  z.strictObject({ t: z.literal('absent') }),
])
type Answer = z.infer<typeof answerSchema>

type BlobSource = {
  sizeOf(digest: Digest): number | null
  part(digest: Digest, at: number, length: number): Uint8Array
}

/** Serves what this node keeps to whoever is admitted and knows its digest. */
export function serveBlobs(mesh: Mesh, blobs: BlobSource): void {
  mesh.serve(BLOB_PROTOCOL, async (channel) => {
    for await (const frame of channel) {
      const { digest } = decodeFrame(requestSchema, frame)
      const size = blobs.sizeOf(digest)
      if (size === null) await tell(channel, { t: 'absent' })
      else await sendChunks(channel, size, (at) => blobs.part(digest, at, LIMITS.BLOB_CHUNK_BYTES))
    }
  })
}

/**
 * Fetches bytes from a connected peer. `length` is what its submitter signed for.
 * @throws E_BLOB when the peer sends other or more bytes, E_UNREACHABLE when it sends none
 */
export async function fetchBlob(
  mesh: Mesh,
  peer: string,
  wanted: { digest: Digest; length: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const channel = await mesh.open(peer, BLOB_PROTOCOL, signal)
  const stop = () => channel.abort('E_UNREACHABLE', 'the bytes are no longer wanted')
  signal.addEventListener('abort', stop, { once: true })
  try {
    await channel.send(encodeFrame({ digest: wanted.digest }))
    const bytes = await receiveChunks(channel, wanted.length)
    if (digestOf(bytes) !== wanted.digest) throw new TalkootError('E_BLOB', 'the bytes are not those of the digest')
    return bytes
  } finally {
    signal.removeEventListener('abort', stop)
    await channel.close()
  }
}

/** One part in memory at a time: who asks on many channels and does not read is many times in memory. */
async function sendChunks(channel: Channel, size: number, partAt: (at: number) => Uint8Array): Promise<void> {
  for (let at = 0; at < size; at += LIMITS.BLOB_CHUNK_BYTES) await tell(channel, { t: 'chunk', bytes: partAt(at) })
  await tell(channel, { t: 'end' })
}

async function receiveChunks(channel: Channel, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let received = 0
  for await (const frame of channel) {
    const answer = decodeFrame(answerSchema, frame)
    if (answer.t === 'absent') throw new TalkootError('E_BLOB', 'the peer does not have the bytes')
    if (answer.t === 'end') {
      if (received === length) return bytes
      throw new TalkootError('E_BLOB', `${received} bytes came, ${length} were expected`)
    }
    if (received + answer.bytes.length > length) throw new TalkootError('E_BLOB', 'more bytes came than expected')
    bytes.set(answer.bytes, received)
    received += answer.bytes.length
  }
  throw new TalkootError('E_UNREACHABLE', 'the peer ended before all bytes had come')
}

const tell = (channel: Channel, answer: Answer): Promise<void> => channel.send(encodeFrame(answer))
