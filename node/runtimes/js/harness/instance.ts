/** A WebAssembly module of a task: compiled once, a new instance for every unit, so that none sees another's memory. */

import { LIMITS } from '../../../../protocol/limits.ts'
import { Failure, failureOf } from './failure.ts'
import { type WasmInstance, type WasmMemory, wasm } from './host.ts'

/** Its memory, as long as that does not grow. */
export type Memory = { bytes(): Uint8Array; text(at: number, length: number): string }

const MIB = 2 ** 20
/** A unit that has so much of the memory it may have, and gives up, has given up for want of memory. */
const FULL = 0.9
const TOO_LARGE = /implementation limit/

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** What V8 says of a module of too large a memory is that it does not compile. */
export function compileModule(bytes: Uint8Array): object {
  try {
    return new wasm.Module(bytes)
  } catch (thrown) {
    const { message } = failureOf(thrown, 'E_SOURCE')
    throw new Failure(/memory/.test(message) && TOO_LARGE.test(message) ? 'E_MEMORY' : 'E_SOURCE', message)
  }
}

/** Runs what a unit does with an instance of its own. `told`: the last words of one that traps. */
export function withInstance<T>(
  module: object,
  imports: (memory: Memory) => object,
  { memoryMiB, told = () => '' }: { memoryMiB: number; told?: () => string },
  use: (instance: WasmInstance, memory: Memory) => T,
): T {
  let instance: WasmInstance | undefined
  const own = (): WasmMemory | undefined => instance?.exports.memory as WasmMemory | undefined
  const bytes = (): Uint8Array => new Uint8Array(own()?.buffer ?? new ArrayBuffer(0))
  const memory = { bytes, text: (at: number, length: number) => utf8.decode(part(bytes(), at, length)) }
  try {
    instance = new wasm.Instance(module, imports(memory))
    return use(instance, memory)
  } catch (thrown) {
    if (Failure.is(thrown)) throw thrown
    if (thrown instanceof wasm.LinkError) throw failureOf(thrown, 'E_SOURCE')
    const { code, message } = failureOf(thrown)
    if (!(thrown instanceof wasm.RuntimeError)) throw new Failure(code, `${message}${told()}`)
    const usedMiB = (own()?.buffer.byteLength ?? 0) / MIB
    if (usedMiB > FULL * memoryMiB) {
      throw new Failure('E_MEMORY', `it gave up with ${Math.floor(usedMiB)} of ${memoryMiB} MiB in use: ${message}`)
    }
    throw new Failure(code, `${message}${told()}`)
  }
}

/** @throws Failure E_RESULT_TYPE when it does not lie in the memory */
export function part(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > bytes.length) {
    throw new Failure('E_RESULT_TYPE', `${length} bytes at ${at} do not lie in a memory of ${bytes.length}`)
  }
  return bytes.subarray(at, at + length)
}

/** @throws Failure E_RESULT_TOO_BIG */
export function checkResultBytes(bytes: number): void {
  if (bytes > LIMITS.UNIT_RESULT_MAX_BYTES) {
    throw new Failure('E_RESULT_TOO_BIG', `the result is over ${LIMITS.UNIT_RESULT_MAX_BYTES} bytes`)
  }
}
