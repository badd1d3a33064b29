/** Compiled extensions, looked at before V8 has them. */

import { TalkootError } from '../../../../protocol/errors.ts'
import { readModule } from '../../../../protocol/wasm/binary.ts'

/** Emscripten wants the first section of a library to have a name and no number; none of the modules it makes itself begins so. */
const NAMED = 0
const FIRST_SECTION = 8

/** The bytes as V8 is to have them. @throws E_SOURCE: what it computes may differ between machines, or it reaches for objects of JavaScript */
export function checkedModule(signed: ArrayBufferView): Uint8Array {
  const bytes = new Uint8Array(signed.buffer, signed.byteOffset, signed.byteLength)
  if (bytes[FIRST_SECTION] !== NAMED) return bytes
  // Emscripten looks for what it imports by name, in plain objects.
  const inherited = readModule(bytes).imports.find(({ name }) => name in Object.prototype)
  if (inherited === undefined) return bytes
  throw new TalkootError('E_SOURCE', `there is no ${inherited.name} to import`)
}
