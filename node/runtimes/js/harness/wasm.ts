/** A function of a WebAssembly module as the task: numbers, or places in its memory, in and out. docs/wasm.md */

import { type FunctionType, readModule, type ValueType } from '../../../../protocol/wasm/binary.ts'
import { base64OfBytes, bytesOfBase64 } from '../../../../protocol/wasm/bytes.ts'
import { unitOf } from '../../../../protocol/wasm/convention.ts'
import type { ModuleTask } from '../../../../protocol/wasm/module-task.ts'
import type { Context } from './call.ts'
import { Failure } from './failure.ts'
import type { WasmInstance } from './host.ts'
import { checkResultBytes, compileModule, type Memory, part, withInstance } from './instance.ts'
import { resumedBytes, saveBytes } from './saved-bytes.ts'
import { compiledOnce, type Task } from './task.ts'

type Compiled = { task: ModuleTask; module: object; type: FunctionType; memoryMiB: number }
type Point = Readonly<Record<string, unknown>>

/** Returns what makes a fresh copy of the task. Each call throws what is wrong with the source. */
export function compileWasm(source: string, memoryMiB: number): () => Task {
  const compiled = compiledOnce((): Compiled => {
    const task: ModuleTask = JSON.parse(source)
    const bytes = bytesOfBase64(task.base64)
    return { task, module: compileModule(bytes), type: unitOf(task, readModule(bytes)), memoryMiB }
  })
  return () => {
    const ready = compiled()
    return { agree: undefined, run: (params, context) => runUnit(ready, params as Point, context as Context) }
  }
}

function runUnit({ task, module, type, memoryMiB }: Compiled, point: Point, context: Context): unknown {
  const numbers = task.takes === 'json' ? [] : task.takes.map((name, i) => toWasm(point, name, type.params[i] ?? 'f64'))
  const imports = (memory: Memory): object => ({ Math, talkoot: offered(memory, context) })
  return withInstance(module, imports, { memoryMiB }, (instance, memory) => {
    const given = task.takes === 'json' ? writeJson(instance, memory, point) : numbers
    const returned = functionOf(instance, task.export)(...given)
    return resultOf(task.gives, returned, memory)
  })
}

/** What it may import from `talkoot`. */
function offered(memory: Memory, context: Context): object {
  const { unit, seed, random, log } = context
  const bytes = (at: number, length: number) => part(memory.bytes(), at >>> 0, length >>> 0)
  return {
    random,
    unit: () => unit,
    seed: () => seed,
    log: (at: number, length: number) => log(memory.text(at >>> 0, length >>> 0)),
    checkpoint: (at: number, length: number) => saveBytes(context, bytes(at, length)),
    /** Gives as much of the state as there is a place for, and tells how long it is. */
    resumed: (at: number, room: number) => {
      const state = resumedBytes(context)
      bytes(at, Math.min(room >>> 0, state.length)).set(state.subarray(0, room >>> 0))
      return state.length
    },
  }
}

/** A number of the point as the parameter takes it, exactly; as a 32-bit float, rounded. */
function toWasm(point: Point, name: string, type: ValueType): number | bigint {
  const value = Object.hasOwn(point, name) ? point[name] : undefined
  const fits = typeof value === 'number' && (type.startsWith('f') || isInteger(value, type))
  if (!fits)
    throw new Failure('E_INPUT', `${name} is ${JSON.stringify(value)?.slice(0, 80)}, not a number of type ${type}`)
  return type === 'i64' ? BigInt(value) : value
}

const isInteger = (value: number, type: ValueType): boolean =>
  type === 'i32' ? (value | 0) === value || value >>> 0 === value : Number.isSafeInteger(value)

/** Where it lies, and how long it is. */
function writeJson(instance: WasmInstance, memory: Memory, point: Point): [at: number, length: number] {
  const json = new TextEncoder().encode(JSON.stringify(point))
  const at = Number(functionOf(instance, 'alloc')(json.length)) >>> 0
  part(memory.bytes(), at, json.length).set(json)
  return [at, json.length]
}

const functionOf = (instance: WasmInstance, name: string) => instance.exports[name] as (...of: unknown[]) => unknown

const FLOAT_BYTES = 8

function resultOf(gives: ModuleTask['gives'], returned: unknown, memory: Memory): unknown {
  if (gives === 'number') return toNumber(returned)
  if (gives === 'numbers') return (returned === undefined ? [] : [returned].flat()).map(toNumber)
  // The place in the upper half, the length in the lower.
  const packed = BigInt.asUintN(64, returned as bigint)
  const [at, length] = [Number(packed >> 32n), Number(packed & 0xffffffffn)]
  checkResultBytes(length)
  if (gives === 'json') return parse(memory.text(at, length))
  if (gives === 'bytes') return base64OfBytes(part(memory.bytes(), at, length))
  const bytes = part(memory.bytes(), at, length * FLOAT_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length }, (_, i) => view.getFloat64(i * FLOAT_BYTES, true))
}

function toNumber(value: unknown): number {
  const number = Number(value)
  if (typeof value === 'bigint' && !Number.isSafeInteger(number)) {
    throw new Failure('E_RESULT_TYPE', `${value} is an integer beyond 2^53`)
  }
  return number
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Failure('E_RESULT_TYPE', `it gave what is not JSON: ${text.slice(0, 80)}`)
  }
}
