/**
 * What is read of a WebAssembly module before it runs: the types of the functions it exports, the names of what it imports, and
 * that its code gives the same bits everywhere (core specification, "Binary Format"). V8 checks the rest.
 */

import { TalkootError } from '../errors.ts'
import { checkFunction } from './code.ts'
import { Reader } from './reader.ts'

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'other'
export type FunctionType = { params: readonly ValueType[]; results: readonly ValueType[] }
export type ModuleFacts = {
  imports: readonly { module: string; name: string }[]
  functions: ReadonlyMap<string, FunctionType>
  hasMemory: boolean
}

/** "\0asm", version 1. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const
const FUNCTION = 0
const MEMORY = 2
const FUNCTION_TYPE = 0x60
const VALUE_TYPES: Record<number, ValueType> = { 127: 'i32', 126: 'i64', 125: 'f32', 124: 'f64' }
/** References whose heap type follows. */
const NULLABLE = 0x63
const NON_NULLABLE = 0x64
const HAS_MAXIMUM = 1

/** @throws E_SOURCE, also when it has instructions that depend on the processor */
export function readModule(bytes: Uint8Array): ModuleFacts {
  const reader = new Reader(bytes)
  if (MAGIC.some((byte) => reader.byte() !== byte)) throw new TalkootError('E_SOURCE', 'this is no WebAssembly module')
  let types: FunctionType[] = []
  let imported: Imports = { names: [], functions: [] }
  let declared: number[] = []
  let exported: Export[] = []
  while (!reader.ended) {
    const id = reader.byte()
    const section = new Reader(reader.take(reader.unsigned()))
    if (id === SECTION.type) types = section.list(functionType)
    if (id === SECTION.import) imported = importsOf(section)
    if (id === SECTION.function) declared = section.list((from) => from.unsigned())
    if (id === SECTION.export) exported = section.list(exportOf)
    if (id === SECTION.code) section.list((from) => checkFunction(new Reader(from.take(from.unsigned()))))
  }
  const all = [...imported.functions, ...declared]
  const functions = exported.flatMap(({ name, kind, index }): [string, FunctionType][] => {
    const type = kind === FUNCTION ? types[all[index] ?? -1] : undefined
    return type === undefined ? [] : [[name, type]]
  })
  const hasMemory = exported.some(({ name, kind }) => kind === MEMORY && name === 'memory')
  return { imports: imported.names, functions: new Map(functions), hasMemory }
}

type Imports = { names: { module: string; name: string }[]; functions: number[] }
type Export = { name: string; kind: number; index: number }

function functionType(from: Reader): FunctionType {
  const form = from.byte()
  // Structures and arrays of the garbage collector come in groups, which have no end of their own to skip to.
  if (form !== FUNCTION_TYPE) throw new TalkootError('E_SOURCE', 'a module that has types beyond functions is not run')
  return { params: from.list(valueType), results: from.list(valueType) }
}

function valueType(from: Reader): ValueType {
  const code = from.byte()
  if (code === NULLABLE || code === NON_NULLABLE) from.unsigned()
  return VALUE_TYPES[code] ?? 'other'
}

function importsOf(section: Reader): Imports {
  const functions: number[] = []
  const names = section.list((from) => {
    const module = from.name()
    const name = from.name()
    const kind = from.byte()
    if (kind === FUNCTION) functions.push(from.unsigned())
    else skipImported(kind, from)
    return { module, name }
  })
  return { names, functions }
}

function skipImported(kind: number, from: Reader): void {
  const [table, memory, global] = [1, MEMORY, 3]
  if (kind === table || kind === global) valueType(from)
  if (kind === global) from.byte()
  if (kind === table || kind === memory) {
    const flags = from.byte()
    from.unsigned()
    if ((flags & HAS_MAXIMUM) !== 0) from.unsigned()
  }
  const tag = 4
  if (kind === tag) {
    from.byte()
    from.unsigned()
  }
}

const exportOf = (from: Reader): Export => ({ name: from.name(), kind: from.byte(), index: from.unsigned() })
