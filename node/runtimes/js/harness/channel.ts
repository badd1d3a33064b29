/** Frames between the harness and the node: u32 big-endian length, then JSON in UTF-8. */

import { ENDED_MARK } from '../frames.ts'
import { exitProcess, readStdin, writeStderr, writeStdout } from './host.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const HEADER_BYTES = 4

let buffer = new Uint8Array(64 * 1024)
let filled = 0

/** The next frame from the node; ends the process when the node has closed the pipe or is gone. */
export function readFrame(): unknown {
  fill(HEADER_BYTES)
  const length = new DataView(buffer.buffer).getUint32(0)
  fill(HEADER_BYTES + length)
  const text = decoder.decode(buffer.subarray(HEADER_BYTES, HEADER_BYTES + length))
  buffer.copyWithin(0, HEADER_BYTES + length, filled)
  filled -= HEADER_BYTES + length
  return JSON.parse(text)
}

/** Sends a frame whose body is JSON text. */
export function writeFrame(json: string): void {
  const body = encoder.encode(json)
  const frame = new Uint8Array(HEADER_BYTES + body.length)
  new DataView(frame.buffer).setUint32(0, body.length)
  frame.set(body, HEADER_BYTES)
  for (let written = 0; written < frame.length; ) written += writeStdout(frame.subarray(written))
}

/** Bytes of a text in UTF-8. */
export const byteLength = (text: string): number => encoder.encode(text).length

const ENDED = new Uint8Array([ENDED_MARK])
/** Tells the node, without waking it, that one more call of this frame has ended. */
export function markCallEnded(): void {
  writeStderr(ENDED)
}

function fill(bytes: number): void {
  if (buffer.length < bytes) {
    const larger = new Uint8Array(Math.max(bytes, buffer.length * 2))
    larger.set(buffer.subarray(0, filled))
    buffer = larger
  }
  while (filled < bytes) {
    const count = readStdin(buffer.subarray(filled))
    if (count === null) exitProcess(0)
    else filled += count
  }
}
