/** Frames: msgpack maps (https://msgpack.org), plain data only, each checked against a schema before use. */

// Without its native addition, whose texts are slices of the whole frame's: one kept of a frame kept all.
import { addExtension, Packr, Unpackr } from 'msgpackr/pack'
import type { z } from 'zod'
import { TalkootError } from './errors.ts'
import { faultText } from './fault-text.ts'
import { parseToFirstFault } from './first-fault.ts'
import { LIMITS } from './limits.ts'

/** A frame can be wrong in hundreds of places; whoever reads the log needs the first. */
const FAULTS_SHOWN_CHARS = 300

const packr = new Packr({ useRecords: false, moreTypes: false })
/**
 * Of the library's own additions to msgpack, those by which a frame becomes far more than its bytes are refused: references, and
 * records, which it would compile and now cannot put into their list.
 */
const unpackr = Object.assign(new Unpackr({ useRecords: false, structuredClone: false }), {
  structures: Object.preventExtensions(Object.assign([], { restoreStructures: null })),
})
/** Nor integers as long as the frame, which it would write out in decimal. */
const LONG_INTEGER = 0x42
addExtension({
  type: LONG_INTEGER,
  unpack: () => {
    throw new TalkootError('E_FRAME', 'an integer that is too long')
  },
})

/** @throws E_FRAME_TOO_BIG when the message does not fit a frame: the caller must split it */
export function encodeFrame(message: object): Uint8Array {
  const frame = packr.pack(message)
  if (frame.length > LIMITS.FRAME_MAX_BYTES) {
    throw new TalkootError('E_FRAME_TOO_BIG', `a message of ${frame.length} bytes, ${LIMITS.FRAME_MAX_BYTES} at most`)
  }
  return frame
}

/** What many small things may take of one frame: there is room beside them for the envelope, receipts and signatures. */
export const FRAME_ROOM_BYTES = LIMITS.FRAME_MAX_BYTES / 2

/** A thing too large for any frame goes alone: whoever encodes it says so. */
export function* framesOf<T>(
  things: readonly T[],
  bytesOf: (thing: T) => number,
  countMax = Number.POSITIVE_INFINITY,
): Generator<T[]> {
  let frame: T[] = []
  let bytes = 0
  for (const thing of things) {
    const size = bytesOf(thing)
    if (frame.length > 0 && (frame.length >= countMax || bytes + size > FRAME_ROOM_BYTES)) {
      yield frame
      frame = []
      bytes = 0
    }
    frame.push(thing)
    bytes += size
  }
  if (frame.length > 0) yield frame
}

/** @throws E_FRAME on anything that is not a message of the schema */
export function decodeFrame<T>(schema: z.ZodType<T>, frame: Uint8Array): T {
  if (frame.length > LIMITS.FRAME_MAX_BYTES) {
    throw new TalkootError('E_FRAME_TOO_BIG', `a frame of ${frame.length} bytes, ${LIMITS.FRAME_MAX_BYTES} at most`)
  }
  const parsed = parseToFirstFault(schema, unpacked(frame))
  if (!parsed.success) {
    const faults = faultText(parsed.error).slice(0, FAULTS_SHOWN_CHARS)
    throw new TalkootError('E_FRAME', `a frame of the wrong shape: ${faults}`)
  }
  return parsed.data
}

/** One value and nothing after it: of what is left over `unpack` would make a text, however long, to say so. @throws E_FRAME */
function unpacked(frame: Uint8Array): unknown {
  let raw: unknown
  let end = 0
  try {
    unpackr.unpackMultiple(frame, (value: unknown, _: unknown, at = 0) => {
      raw = value
      end = at
      return false
    })
  } catch (cause) {
    throw new TalkootError('E_FRAME', 'a frame that is not msgpack', { cause })
  }
  if (end !== frame.length) throw new TalkootError('E_FRAME', 'a frame that goes on after its message')
  return raw
}
