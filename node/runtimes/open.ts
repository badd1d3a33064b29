/** The runtime of each kind of task. */

import { type RuntimeKind, runtimeKinds } from '../../protocol/runtime-kinds.ts'
import { createCommandRuntime } from './command/runtime.ts'
import { createContainerRuntime } from './container/runtime.ts'
import { DenoHost } from './js/deno-host.ts'
import { createJsRuntime } from './js/runtime.ts'
import { createPythonRuntime } from './python/runtime.ts'
import type { Runtime, RuntimeInit } from './runtime.ts'
import { Runtimes } from './runtimes.ts'
import { createWasiRuntime, createWasmRuntime } from './wasm/runtime.ts'

/** `host`: of all that run in Deno. */
type Factories = Readonly<Record<RuntimeKind, (init: RuntimeInit, host: DenoHost) => Runtime>>

const FACTORIES: Factories = {
  js: createJsRuntime,
  wasm: createWasmRuntime,
  wasi: createWasiRuntime,
  python: createPythonRuntime,
  command: createCommandRuntime,
  container: createContainerRuntime,
}

/** One of each kind; `instead` takes the place of those it names. Nothing is started yet. */
export function openRuntimes(init: RuntimeInit, instead: Partial<Factories> = {}): Runtimes {
  const factories = { ...FACTORIES, ...instead }
  const host = new DenoHost(init)
  return new Runtimes(Object.fromEntries(runtimeKinds.map((kind) => [kind, factories[kind](init, host)])))
}
