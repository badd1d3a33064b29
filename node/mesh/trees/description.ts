/** The description of a tree, from peer to peer. */

import { type Digest, digestOf } from '../../../protocol/canonical.ts'
import { TalkootError } from '../../../protocol/errors.ts'
import { decodeFrame, encodeFrame } from '../../../protocol/frames.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import type { Channel, Mesh } from '../mesh.ts'
import { type ToAsker, TREES_PROTOCOL, toAskerSchema } from './messages.ts'

/** @throws E_BLOB when other bytes come, E_BUSY, E_NOT_FOUND when the peer has none, E_UNREACHABLE when nothing comes */
export async function fetchDescription(
  mesh: Pick<Mesh, 'open'>,
  peer: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const channel = await mesh.open(peer, TREES_PROTOCOL, signal)
  const stop = () => channel.abort('E_UNREACHABLE', 'the description is no longer waited for')
  const timer = setTimeout(stop, LIMITS.TREE_STALL_MS)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await channel.send(encodeFrame({ t: 'describe', digest }))
    const parts: Uint8Array[] = []
    for await (const bytes of partsOf(channel)) {
      parts.push(bytes)
      timer.refresh()
    }
    const description = new Uint8Array(Buffer.concat(parts))
    if (digestOf(description) === digest) return description
    channel.abort('E_BLOB', `the description of tree ${digest} is another`)
    throw new TalkootError('E_BLOB', `${peer} sent another description`)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    await channel.close()
  }
}

async function* partsOf(channel: Channel): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const frame of channel) {
    const message = decodeFrame(toAskerSchema, frame)
    if (message.t !== 'description') throw refusal(message)
    length += message.bytes.length
    if (length > LIMITS.TREE_DESCRIPTION_MAX_BYTES) throw new TalkootError('E_FRAME', 'a description over the limit')
    yield message.bytes
    if (message.last) return
  }
  throw new TalkootError('E_UNREACHABLE', 'the peer ended before all of the description had come')
}

/** What an answer is that gives nothing. */
export function refusal({ t }: ToAsker): TalkootError {
  if (t === 'absent') return new TalkootError('E_NOT_FOUND', 'the peer does not have the tree')
  if (t === 'busy') return new TalkootError('E_BUSY', 'the peer gives trees to as many as it may')
  return new TalkootError('E_FRAME', `${t} is not said now`)
}

export async function sendDescription(channel: Channel, description: Uint8Array): Promise<void> {
  for (let at = 0; at < description.length; at += LIMITS.TREE_PIECE_BYTES) {
    const bytes = description.subarray(at, at + LIMITS.TREE_PIECE_BYTES)
    const last = at + bytes.length === description.length
    await channel.send(encodeFrame({ t: 'description', bytes, last } satisfies ToAsker))
  }
}
