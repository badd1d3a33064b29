/** `WebAssembly.Module` as task code has it: it compiles nothing whose results the specification leaves to the processor. */

import { LIMITS } from '../../../../protocol/limits.ts'
import { readModule } from '../../../../protocol/wasm/binary.ts'
import { failureOf } from './failure.ts'

type ModuleConstructor = { new (bytes: unknown): object; prototype: object }
type Host = { Module: ModuleConstructor; CompileError: new (message: string) => Error }

/** Bytes that passed: units of one task compile the same ones again and again. */
let passed: Uint8Array[] = []

export function checkModules(host: Host): void {
  const { Module, CompileError } = host
  const Checked: object = function (bytes: unknown): object {
    if (new.target === undefined) throw new TypeError('WebAssembly.Module must be invoked with "new"')
    // A copy: what is looked at is what is compiled. Of anything else V8 says what is wrong.
    const copy = copyOf(bytes)
    if (copy !== null) check(copy)
    return Reflect.construct(Module, [copy ?? bytes], new.target === Checked ? Module : new.target)
  }

  function check(bytes: Uint8Array): void {
    if (passed.some((known) => isSame(known, bytes))) return
    try {
      readModule(bytes)
    } catch (thrown) {
      // An error of its own kind: nothing of the harness reaches a task.
      throw new CompileError(`WebAssembly.Module(): ${failureOf(thrown).message}`)
    }
    passed = [bytes, ...passed].slice(0, LIMITS.WASM_MODULES_KEPT_MAX)
  }

  for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(Module))) {
    Object.defineProperty(Checked, key, property)
  }
  Object.defineProperty(Module.prototype, 'constructor', { value: Checked })
  Object.defineProperty(host, 'Module', { value: Checked })
}

function copyOf(bytes: unknown): Uint8Array | null {
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return bytes instanceof ArrayBuffer ? new Uint8Array(new Uint8Array(bytes)) : null
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
