/**
 * What one who fetches a tree and one who holds chunks of it say to each other, one tree a channel. See docs/data.md.
 * Messages are msgpack maps; each is checked against its schema before use. Only the pieces of chunks are not: nearly all of what is
 * sent is in them, and msgpack would copy it into buffers of four times its length.
 */

import { z } from 'zod'
import { bytesSchema } from '../../../protocol/bytes.ts'
import { DIGEST_PATTERN } from '../../../protocol/canonical.ts'
import { LIMITS } from '../../../protocol/limits.ts'
import { introductionSchema } from '../introductions.ts'
import { BITMAP_MAX_BYTES, CHUNKS_MAX } from './bitmap.ts'

export const TREES_PROTOCOL = '/talkoot/trees/1'

const digest = z.string().regex(DIGEST_PATTERN)
const chunk = z
  .int()
  .min(0)
  .max(CHUNKS_MAX - 1)
const asks = LIMITS.TREE_ASKS_PER_HOLDER
const some = z.array(chunk).min(1).max(LIMITS.TREE_CHUNKS_TOLD_MAX)
const part = z.strictObject({
  of: digest,
  names: z.array(z.string().max(LIMITS.FILE_PATH_MAX_BYTES)).min(1).max(LIMITS.POINT_INPUT_NAMES_MAX),
})
const bitmap = bytesSchema(BITMAP_MAX_BYTES)

export const toHolderSchema = z.discriminatedUnion('t', [
  /** The first message is one of these two. Answered by `description` until its last, or by `absent` or `busy`. */
  z.strictObject({ t: z.literal('describe'), digest }),
  /** Answered by `has`, or by `absent` or `busy`. `part`: the tree is these files of another, which the holder may have instead. */
  z.strictObject({ t: z.literal('open'), digest, part: part.optional() }),
  /** What the asker has or gets from others; said once, before it asks. */
  z.strictObject({ t: z.literal('have'), bitmap }),
  /** So many more chunks, whichever the holder chooses. Only a holder of all of them is asked so. */
  z.strictObject({ t: z.literal('any'), count: z.int().min(1).max(asks) }),
  z.strictObject({ t: z.literal('ask'), chunks: z.array(chunk).min(1).max(asks) }),
  /** Asked for, and meanwhile come from elsewhere. */
  z.strictObject({ t: z.literal('drop'), chunk }),
  /** Asked of others, and given up by them. */
  z.strictObject({ t: z.literal('taken'), chunks: some }),
  z.strictObject({ t: z.literal('lost'), chunks: some }),
])
export type ToHolder = z.infer<typeof toHolderSchema>

export const toAskerSchema = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('absent') }),
  /** Too many fetch here at once: to be asked again later. */
  z.strictObject({ t: z.literal('busy') }),
  z.strictObject({ t: z.literal('description'), bytes: bytesSchema(LIMITS.TREE_PIECE_BYTES), last: z.boolean() }),
  /** What the holder has; null for all of it. */
  z.strictObject({ t: z.literal('has'), bitmap: bitmap.nullable() }),
  z.strictObject({ t: z.literal('more'), chunks: some }),
  /** Asked for, and not to be had here. */
  z.strictObject({ t: z.literal('gone'), chunk }),
  /** Who else fetches or has fetched this tree here. */
  z.strictObject({ t: z.literal('fetchers'), list: z.array(introductionSchema).max(LIMITS.TREE_FETCHERS_TOLD_MAX) }),
])
export type ToAsker = z.infer<typeof toAskerSchema>

/** A part of a chunk. The parts of one chunk follow each other, in order. */
export type Piece = { chunk: number; at: number; bytes: Uint8Array }

/** A byte that begins no msgpack; the chunk and the place in it, 4 bytes each, big-endian; the bytes. */
const PIECE = 0xc1
const PIECE_HEAD_BYTES = 9

export function encodePiece({ chunk, at, bytes }: Piece): Uint8Array {
  const frame = Buffer.allocUnsafe(PIECE_HEAD_BYTES + bytes.length)
  frame[0] = PIECE
  frame.writeUInt32BE(chunk, 1)
  frame.writeUInt32BE(at, 5)
  frame.set(bytes, PIECE_HEAD_BYTES)
  return frame
}

/** Undefined for any other message; what it says is not checked. */
export function decodePiece(frame: Uint8Array): Piece | undefined {
  if (frame[0] !== PIECE || frame.length <= PIECE_HEAD_BYTES) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset)
  return { chunk: view.getUint32(1), at: view.getUint32(5), bytes: frame.subarray(PIECE_HEAD_BYTES) }
}
