/**
 * WebAssembly in the sandbox of js units: functions of modules (`wasm`, source `ModuleTask` as JSON) and WASI programs
 * (`wasi`, source `WasiProgram` as JSON). A module has what it is given to import, and nothing else of any machine.
 */

import { encodeModuleTask } from '../../../protocol/wasm/module-task.ts'
import { encodeWasiProgram } from '../../../protocol/wasm/wasi-program.ts'
import { DenoHost, type DenoHostInit } from '../js/deno-host.ts'
import { type Proof, prove } from '../js/prepare.ts'
import { createHarnessRuntime } from '../js/runtime.ts'
import type { Runtime } from '../runtime.ts'

/** (module (func (export "unit") (result f64) (f64.add (f64.const 0.1) (f64.const 0.2)))) */
const SUM = 'AGFzbQEAAAABBQFgAAF8AwIBAAcIAQR1bml0AAAKFwEVAESamZmZmZm5P0SamZmZmZnJP6AL'

const WASM_PROOF: Proof = {
  kind: 'wasm',
  source: encodeModuleTask({ v: 1, base64: SUM, export: 'unit', takes: [], gives: 'number' }),
  value: '0.30000000000000004',
}

/**
 * (module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 *   (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\03\00\00\0042\n")
 *   (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))))
 */
const PRINT =
  'AGFzbQEAAAABDAJgBH9/f38Bf2AAAAIjARZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCGZkX3dyaXRlAAADAgEBBQMBAAEHEwIGbWVtb3J5AgAGX3N0YX' +
  'J0AAEKDwENAEEBQQBBAUEMEAAaCwsRAQBBAAsLCAAAAAMAAAA0Mgo='

const WASI_PROOF: Proof = {
  kind: 'wasi',
  source: encodeWasiProgram({ v: 1, base64: PRINT, args: [], env: {}, stdin: null, inputs: null, outputs: [] }),
  value: '{"stdout":"42"}',
}

export const createWasmRuntime = (init: DenoHostInit, host = new DenoHost(init)): Runtime =>
  createHarnessRuntime('wasm', host, (prepared, signal) => prove(WASM_PROOF, prepared, signal))

export const createWasiRuntime = (init: DenoHostInit, host = new DenoHost(init)): Runtime =>
  createHarnessRuntime('wasi', host, (prepared, signal) => prove(WASI_PROOF, prepared, signal))
