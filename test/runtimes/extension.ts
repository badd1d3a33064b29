/** Compiled extensions for Python, from WebAssembly text, and wheels of them. */

import { crc32 } from 'node:zlib'
import { wasmOf } from './wat.ts'

export type Extension = {
  /** Of the function `call` of the module, with one argument: statements that leave a Python object. */
  body: string
  /** What else it imports and defines. */
  more?: string
  imports?: string
  /** What it says it needs. */
  memoryBytes?: number
  functions?: number
}

const MEMORY_BYTES = 512
const ALIGNED_TO_16 = 4
const FUNCTIONS = 1
const LIBRARY = 'dylink.0'
const HEADER_BYTES = 8

/** Its static memory begins at `$at`: 256 bytes are its own, those from 256 on are free. */
export function extension(
  name: string,
  { body, more = '', imports = '', memoryBytes = MEMORY_BYTES, functions = FUNCTIONS }: Extension,
): Buffer {
  const module = wasmOf(`(module
    (import "env" "memory" (memory 0))
    (import "env" "__indirect_function_table" (table 0 funcref))
    (import "env" "__memory_base" (global $at i32))
    (import "env" "__table_base" (global $first i32))
    (import "env" "PyModule_Create2" (func $create (param i32 i32) (result i32)))
    (import "env" "PyFloat_FromDouble" (func $float (param f64) (result i32)))
    (import "env" "PyFloat_AsDouble" (func $double (param i32) (result f64)))
    ${imports}
    (global $calls (mut i32) (i32.const 0))
    ${more}
    (elem (global.get $first) $call)
    (data (global.get $at) "${'\\00'.repeat(128)}${name}\\00")
    (func $call (param $self i32) (param $given i32) (result i32) ${body})
    (func $place (param $at i32) (result i32) (i32.add (global.get $at) (local.get $at)))
    (func (export "PyInit_${name}") (result i32)
      ;; PyModuleDef: its name, no state of its own, its functions; of those one, "call", that takes one object
      (i32.store offset=20 (global.get $at) (call $place (i32.const 128)))
      (i32.store offset=28 (global.get $at) (i32.const -1))
      (i32.store offset=32 (global.get $at) (call $place (i32.const 64)))
      (i32.store offset=64 (global.get $at) (call $place (i32.const 96)))
      (i32.store offset=68 (global.get $at) (global.get $first))
      (i32.store offset=72 (global.get $at) (i32.const 8))
      (i32.store offset=96 (global.get $at) (i32.const 0x6c6c6163))
      (call $create (global.get $at) (i32.const 1013))))`)
  const needs = [memoryBytes, ALIGNED_TO_16, functions, 0].flatMap(leb)
  const section = [LIBRARY.length, ...Buffer.from(LIBRARY), 1, needs.length, ...needs]
  const first = Buffer.from([0, ...leb(section.length), ...section])
  return Buffer.concat([module.subarray(0, HEADER_BYTES), first, module.subarray(HEADER_BYTES)])
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...leb(Math.floor(value / 128))]
}

/** An archive whose files are stored as they are. */
export function wheel(files: Record<string, Uint8Array | string>): Buffer {
  const [local, central]: [Buffer[], Buffer[]] = [[], []]
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt16LE(0x21, 8)
    facts.writeUInt32LE(crc32(bytes), 10)
    facts.writeUInt32LE(bytes.length, 14)
    facts.writeUInt32LE(bytes.length, 18)
    facts.writeUInt16LE(name.length, 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(Buffer.concat(local).length, 10)
    central.push(Buffer.from('PK\x01\x02\x14\x00'), facts, rest, Buffer.from(name))
    local.push(Buffer.from('PK\x03\x04'), facts, Buffer.from(name), bytes)
  }
  const [body, list] = [Buffer.concat(local), Buffer.concat(central)]
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  for (const at of [8, 10]) end.writeUInt16LE(Object.keys(files).length, at)
  end.writeUInt32LE(list.length, 12)
  end.writeUInt32LE(body.length, 16)
  return Buffer.concat([body, list, end])
}
