/** Devices of the files Python sees: a clock to move, what takes a state to save, and random bytes, of which Emscripten would keep some for the next unit. */

import type { FileSystem } from './files.ts'
import type { World } from './world.ts'

const CLOCK = '/dev/clock'
const CHECKPOINT = '/dev/checkpoint'
const RANDOM = ['/dev/random', '/dev/urandom']
/** Of devices, as Linux numbers those for local use. */
const MAJOR = 240
const MS_BYTES = 8
/** "Invalid argument", as Emscripten numbers it. */
const EINVAL = 28

type Write = (stream: object, from: Int8Array, offset: number, length: number) => number

/**
 * Milliseconds written to the clock, as a little-endian 64-bit float, move it on. JSON written to the other in one go is saved.
 */
export function connectDevices(files: FileSystem, { clock, names, surroundings }: World): void {
  const moveClock: Write = (_, from, offset, length) => {
    const ms = length === MS_BYTES ? new DataView(from.buffer, from.byteOffset + offset).getFloat64(0, true) : -1
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new files.ErrnoError(EINVAL)
    clock.moveMs(ms)
    return length
  }
  const save: Write = (_, from, offset, length) => {
    try {
      surroundings.save(new TextDecoder().decode(from.slice(offset, offset + length)))
    } catch {
      // Python's own function has looked at the state before: this is another's.
      throw new files.ErrnoError(EINVAL)
    }
    return length
  }
  const { getRandomValues } = names.crypto as { getRandomValues(view: Int8Array): void }
  const read = (_: object, into: Int8Array, offset: number, length: number): number => {
    getRandomValues(into.subarray(offset, offset + length))
    return length
  }
  for (const [minor, [path, write]] of [[CLOCK, moveClock] as const, [CHECKPOINT, save] as const].entries()) {
    const number = files.makedev(MAJOR, minor)
    files.registerDevice(number, { write })
    files.mkdev(path, number)
  }
  for (const path of RANDOM) files.registerDevice(files.lookupPath(path).node.rdev, { read })
}
