/** Canonical JSON (RFC 8785) of what a task returned or saved, refusing everything JSON cannot say exactly. */

import { LIMITS } from '../../../../protocol/limits.ts'
import { byteLength } from './channel.ts'
import { Failure } from './failure.ts'

/** @throws Failure E_RESULT_TYPE naming the path of the offending value, or E_RESULT_TOO_BIG */
export function encodeValue(value: unknown, maxBytes: number): string {
  most = maxBytes
  chars = 0
  const text = encode(value, 0)
  // A UTF-16 code unit takes at most three bytes.
  if (text.length * 3 > most && byteLength(text) > most) tooBig()
  return text
}

/** Keys and indices from the root to the value being encoded; only the first `depth` entries count. */
const path: (string | number)[] = []
/** Characters produced so far, so that a result far over the limit is never built. */
let chars = 0
/** Bytes. */
let most = 0

/** What to do about what newcomers meet most. */
const NO_SUCH_NUMBER = ': JSON has no such number; give null or a text in its place'
const NO_SUCH_VALUE = ': JSON has no such value; give null in its place'

function encode(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'number':
      return count(encodeNumber(value, depth))
    case 'string':
      return count(encodeString(value, depth))
    case 'boolean':
      return count(value ? 'true' : 'false')
    case 'object':
      return value === null ? count('null') : encodeObject(value, depth)
    default:
      return refuse(depth, value === undefined ? `undefined${NO_SUCH_VALUE}` : `a ${typeof value}`)
  }
}

function encodeNumber(value: number, depth: number): string {
  // `NaN - NaN` and `Infinity - Infinity` are NaN: one comparison tells all finite numbers.
  if (value - value !== 0) return refuse(depth, `${value}${NO_SUCH_NUMBER}`)
  return value === 0 ? '0' : String(value)
}

function encodeString(value: string, depth: number): string {
  if (value.length > most) tooBig()
  if (!value.isWellFormed()) return refuse(depth, 'a string with half a surrogate pair')
  return JSON.stringify(value)
}

function encodeObject(value: object, depth: number): string {
  if (depth >= LIMITS.UNIT_VALUE_DEPTH_MAX) {
    return refuse(depth, `deeper than ${LIMITS.UNIT_VALUE_DEPTH_MAX} levels, or holds itself`)
  }
  if (Array.isArray(value)) return encodeList(value, value.length, depth)
  if (ArrayBuffer.isView(value)) return encodeTyped(value, depth)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return refuse(depth, describeInstance(prototype))
  return encodeRecord(value as Record<string, unknown>, depth)
}

function encodeList(list: ArrayLike<unknown>, length: number, depth: number): string {
  let text = '['
  for (let i = 0; i < length; i++) {
    path[depth] = i
    if (i > 0) text += ','
    text += encode(list[i], depth + 1)
  }
  chars += 1 + length
  return `${text}]`
}

function encodeRecord(record: Record<string, unknown>, depth: number): string {
  let text = ''
  for (const key of Object.keys(record).sort()) {
    path[depth] = key
    text += `${text === '' ? '' : ','}${count(encodeString(key, depth))}:${encode(record[key], depth + 1)}`
    chars += 2
  }
  chars += 2
  return `{${text}}`
}

const TypedArray = Object.getPrototypeOf(Uint8Array).prototype
const typeOf = getter(TypedArray, Symbol.toStringTag)
const lengthOf = getter(TypedArray, 'length')

function encodeTyped(view: ArrayBufferView, depth: number): string {
  const type = typeOf.call(view)
  if (type === undefined) return refuse(depth, 'a DataView')
  if (type === 'BigInt64Array' || type === 'BigUint64Array') return refuse(depth, `a ${type}`)
  return encodeList(view as unknown as ArrayLike<number>, lengthOf.call(view) as number, depth)
}

function count(text: string): string {
  chars += text.length
  if (chars > most) tooBig()
  return text
}

function tooBig(): never {
  throw new Failure('E_RESULT_TOO_BIG', `it is over ${most} bytes`)
}

const PLAIN_KEY = /^[A-Za-z_$][\w$]*$/
const KEY_SHOWN_CHARS = 80

function refuse(depth: number, what: string): never {
  let at = 'value'
  for (const step of path.slice(0, depth)) {
    if (typeof step === 'number') at += `[${step}]`
    else
      at += PLAIN_KEY.test(step)
        ? `.${step.slice(0, KEY_SHOWN_CHARS)}`
        : `[${JSON.stringify(step.slice(0, KEY_SHOWN_CHARS))}]`
  }
  throw new Failure('E_RESULT_TYPE', `${at} is ${what}`)
}

/** The class by the name its constructor holds as plain data; a getter of the task is not asked. */
function describeInstance(prototype: object): string {
  const made = Object.getOwnPropertyDescriptor(prototype, 'constructor')
  const maker: unknown = made?.value ?? made?.get?.call(prototype)
  const name = typeof maker === 'function' ? Object.getOwnPropertyDescriptor(maker, 'name')?.value : undefined
  return typeof name === 'string' && name !== ''
    ? `an instance of ${name.slice(0, KEY_SHOWN_CHARS)}`
    : 'not a plain object'
}

function getter(owner: object, key: PropertyKey): () => unknown {
  const get = Object.getOwnPropertyDescriptor(owner, key)?.get
  if (get === undefined) throw new TypeError(`no getter ${String(key)}`)
  return get
}
