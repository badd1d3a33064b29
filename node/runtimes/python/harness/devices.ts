/** Devices of the files Python sees: a clock to move, and random bytes, of which Emscripten would keep some for the next unit. */

import type { FileSystem } from './files.ts'
import type { World } from './world.ts'

const CLOCK = '/dev/clock'
const RANDOM = ['/dev/random', '/dev/urandom']
/** Of devices, as Linux numbers those for local use. */
const MAJOR = 240
const MS_BYTES = 8
/** "Invalid argument", as Emscripten numbers it. */
const EINVAL = 28

/** Milliseconds written to the clock, as a little-endian 64-bit float, move it on. */
export function connectDevices(files: FileSystem, { clock, names }: World): void {
  const write = (_: object, from: Int8Array, offset: number, length: number): number => {
    const ms = length === MS_BYTES ? new DataView(from.buffer, from.byteOffset + offset).getFloat64(0, true) : -1
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new files.ErrnoError(EINVAL)
    clock.moveMs(ms)
    return length
  }
  const { getRandomValues } = names.crypto as { getRandomValues(view: Int8Array): void }
  const read = (_: object, into: Int8Array, offset: number, length: number): number => {
    getRandomValues(into.subarray(offset, offset + length))
    return length
  }
  const number = files.makedev(MAJOR, 0)
  files.registerDevice(number, { write })
  files.mkdev(CLOCK, number)
  for (const path of RANDOM) files.registerDevice(files.lookupPath(path).node.rdev, { read })
}
