/**
 * Seals the realm task code runs in: no host functions, no clock, no state that outlives a unit.
 * Everything reachable is frozen, so a unit can neither change another's world nor the harness's.
 */

import { checkModules } from './checked-module.ts'

/** What task code keeps of the global object. Absent on purpose: whatever tells time, memory, threads or the host. */
const KEPT = new Set(
  `Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp
  Error AggregateError EvalError RangeError ReferenceError SuppressedError SyntaxError TypeError URIError globalThis JSON Math Intl
  ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array Float16Array Float32Array Float64Array
  Uint8ClampedArray BigUint64Array BigInt64Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy Reflect
  decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN TextEncoder TextDecoder
  atob btoa structuredClone WebAssembly`.split(/\s+/),
)

export function sealRealm(): void {
  const hidden = hiddenIntrinsics()
  freezeClock()
  settleWebAssemblyAtOnce()
  removeGlobals()
  addQuietGlobals()
  removeRegExpStatics()
  // Stacks hold paths of this machine, and how deep they go depends on the compiler.
  Error.stackTraceLimit = 0
  freezeEverything([...hidden, ...allowOverrides()])
}

/** Time stands still at the Unix epoch: a result that depends on the hour cannot be verified. */
function freezeClock(): void {
  const RealDate = Date
  const FrozenDate = function (...args: [number]) {
    if (new.target === undefined) return new RealDate(0).toString()
    return Reflect.construct(RealDate, args.length > 0 ? args : [0], new.target === FrozenDate ? RealDate : new.target)
  } as unknown as DateConstructor
  const fixed = { prototype: RealDate.prototype, UTC: RealDate.UTC, parse: RealDate.parse, now: () => 0 }
  for (const [key, value] of Object.entries(fixed)) Object.defineProperty(FrozenDate, key, { value })
  Object.defineProperty(FrozenDate, 'name', { value: 'Date' })
  Object.defineProperty(RealDate.prototype, 'constructor', { value: FrozenDate })
  globalThis.Date = FrozenDate
  // Leads to Temporal, which is not ours.
  Reflect.deleteProperty(RealDate.prototype, 'toTemporalInstant')
  freezeDateFormats()
}

/** `format()` without a date formats the present. */
function freezeDateFormats(): void {
  const formats = Intl.DateTimeFormat.prototype
  const formatOf = Object.getOwnPropertyDescriptor(formats, 'format')?.get as (
    this: unknown,
  ) => (date: unknown) => string
  const { formatToParts } = formats
  Object.defineProperty(formats, 'format', {
    get(this: unknown) {
      const bound = formatOf.call(this)
      return (date: unknown = 0) => bound(date)
    },
  })
  Object.defineProperty(formats, 'formatToParts', {
    value(this: Intl.DateTimeFormat, date: Date | number = 0) {
      return formatToParts.call(this, date)
    },
  })
}

/**
 * Compiling aside and telling later is the one thing of the language that waits for the host. Done at once, a promise
 * that is still pending when its promise jobs have run never settles.
 */
function settleWebAssemblyAtOnce(): void {
  const host: Parameters<typeof checkModules>[0] & { Instance: new (module: object, imports: unknown) => object } =
    Reflect.get(globalThis, 'WebAssembly')
  checkModules(host)
  const { Module, Instance } = host
  const compile = async (bytes: unknown) => new Module(bytes)
  const instantiate = async (code: unknown, imports: unknown) => {
    if (code instanceof Module) return new Instance(code, imports)
    const module = new Module(code)
    return { module, instance: new Instance(module, imports) }
  }
  Object.assign(host, { compile, instantiate })
  for (const name of ['compileStreaming', 'instantiateStreaming']) Reflect.deleteProperty(host, name)
}

function removeGlobals(): void {
  for (const key of Reflect.ownKeys(globalThis)) {
    if (typeof key === 'string' && KEPT.has(key)) continue
    if (!Reflect.deleteProperty(globalThis, key)) Reflect.set(globalThis, key, undefined)
  }
  // Window and EventTarget, which globalThis inherits from.
  for (
    let proto = Object.getPrototypeOf(globalThis);
    proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto)
  ) {
    for (const key of Reflect.ownKeys(proto)) Reflect.deleteProperty(proto, key)
  }
}

/** What much code calls without need: a console that says nothing, and promise jobs. */
function addQuietGlobals(): void {
  const silent = (): void => undefined
  const console = Object.fromEntries(['log', 'info', 'warn', 'error', 'debug', 'trace'].map((name) => [name, silent]))
  const queueMicrotask = (job: () => void): void => void Promise.resolve().then(job)
  Object.assign(globalThis, { console, queueMicrotask })
}

/** `RegExp.$1` and its kin hold the last match of whoever matched last. */
function removeRegExpStatics(): void {
  for (const key of Reflect.ownKeys(RegExp)) {
    if (/^(\$|input|last|leftContext|rightContext)/.test(String(key))) Reflect.deleteProperty(RegExp, key)
  }
}

/**
 * On an object that inherits from a frozen one, `object.toString = f` fails, and much code does that. The properties
 * below become accessors that, set on an heir, give the heir a property of its own (the list is that of SES, less
 * what makes V8 slow: never the `constructor` of arrays, promises, regular expressions). Returns the values behind them.
 */
function allowOverrides(): unknown[] {
  const errors = [
    Error,
    TypeError,
    RangeError,
    SyntaxError,
    ReferenceError,
    EvalError,
    URIError,
    AggregateError,
    SuppressedError,
  ]
  const collections = [Map, Set, WeakMap, WeakSet, Date]
  return [
    ...overridable(Object.prototype, Reflect.ownKeys(Object.prototype)),
    ...overridable(Function.prototype, ['constructor', 'bind', 'toString', 'name', 'length']),
    ...errors.flatMap(({ prototype }) => overridable(prototype, ['constructor', 'message', 'name', 'toString'])),
    ...overridable(Array.prototype, ['toString']),
    ...collections.flatMap(({ prototype }) => overridable(prototype, ['constructor', 'toString'])),
  ]
}

function overridable(prototype: object, keys: PropertyKey[]): unknown[] {
  return keys.map((key) => {
    const property = Object.getOwnPropertyDescriptor(prototype, key)
    if (property === undefined || !('value' in property) || !property.configurable) return undefined
    const { value, enumerable } = property
    const set = function (this: object, own: unknown): void {
      if (this === prototype) throw new TypeError(`Cannot assign to read only property '${String(key)}'`)
      Object.defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true })
    }
    Object.defineProperty(prototype, key, {
      get: () => value,
      set,
      enumerable: enumerable ?? false,
      configurable: false,
    })
    return value
  })
}

function freezeEverything(hidden: unknown[]): void {
  const seen = new Set<object>()
  for (const key of Reflect.ownKeys(globalThis)) {
    const value: unknown = Reflect.get(globalThis, key)
    if (key !== 'globalThis') freezeReachable(value, seen)
    const property = Object.getOwnPropertyDescriptor(globalThis, key)
    if (property?.configurable) Object.defineProperty(globalThis, key, { value, writable: false, configurable: false })
  }
  for (const object of hidden) freezeReachable(object, seen)
  freezeReachable(Object.getPrototypeOf(globalThis), seen)
  Object.preventExtensions(globalThis)
}

/** Objects that task code can get hold of although no global that it keeps leads to them. */
function hiddenIntrinsics(): unknown[] {
  const functions = [
    function* () {
      yield
    },
    async function* () {
      yield
    },
    async () => undefined,
  ]
  const iterators = [[].values(), ''[Symbol.iterator](), new Map().values(), new Set().values(), 'a'.matchAll(/a/g)]
  const wrapped = Iterator.from({ next: () => ({ done: true, value: 0 }) })
  const segments = new Intl.Segmenter().segment('a')
  return [
    ...functions,
    functions[0]?.(),
    functions[1]?.(),
    ...iterators,
    [].values().map((x) => x),
    wrapped,
    segments,
    segments[Symbol.iterator](),
    // The accessors of its own `stack`.
    new Error(),
    // What `atob` and `structuredClone` throw.
    DOMException,
    // What a shared WebAssembly memory is a view of.
    SharedArrayBuffer,
  ]
}

function freezeReachable(root: unknown, seen: Set<object>): void {
  const open = [root]
  while (open.length > 0) {
    const object = open.pop()
    if (object === null || (typeof object !== 'object' && typeof object !== 'function')) continue
    if (object === undefined || object === globalThis || seen.has(object)) continue
    seen.add(object)
    for (const property of Object.values(Object.getOwnPropertyDescriptors(object))) {
      open.push(property.value, property.get, property.set)
    }
    for (const symbol of Object.getOwnPropertySymbols(object)) {
      const property = Object.getOwnPropertyDescriptor(object, symbol)
      open.push(property?.value, property?.get, property?.set)
    }
    open.push(Object.getPrototypeOf(object))
    Object.freeze(object)
  }
}
