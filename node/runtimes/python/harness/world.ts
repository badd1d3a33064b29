/**
 * What Pyodide finds around itself: every name that it or Emscripten reads of a browser or a shell is a parameter of
 * the function its text is compiled as, so nothing of the host is there, before the realm is sealed and after.
 */

import { checkedModule } from './library.ts'
import { soon } from './soon.ts'

/** Who Python's standard output (1) and standard error (2) are told to. */
export type Output = (descriptor: number, bytes: Uint8Array) => void

/** What a world takes from whoever runs units in it; changed for each of them. */
export type Surroundings = {
  /** Numbers in [0, 1), for `os.urandom` and all that begins with it. */
  random: () => number
  output: Output
  /** Takes a state as JSON. @throws what is wrong with it */
  save: (state: string) => void
}

export type World = {
  names: Record<string, unknown>
  surroundings: Surroundings
  clock: Clock
}

const BYTE_VALUES = 256
const MICROSECONDS_PER_MS = 1_000

/** Begins at the Unix epoch and moves by a microsecond whenever it is read: loops that wait for it end, the same everywhere. */
export class Clock {
  #us = 0

  readMs(): number {
    this.#us += 1
    return this.#us / MICROSECONDS_PER_MS
  }

  moveMs(ms: number): void {
    this.#us += Math.round(ms * MICROSECONDS_PER_MS)
  }

  reset(): void {
    this.#us = 0
  }
}

export const noSurroundings = (): Surroundings => ({ random: () => 0, output: () => undefined, save: () => undefined })

export function makeWorld(): World {
  const surroundings = noSurroundings()
  const clock = new Clock()
  const names: Record<string, unknown> = {
    ...shellNames(),
    ...ABSENT,
    Date: clockDate(clock),
    // Numbers drawn while it loads again are not those of the unit that comes next.
    Math: Object.create(Math, { random: { value: () => surroundings.random() } }),
    performance: { now: () => clock.readMs() },
    crypto: { getRandomValues: (view: Uint8Array) => fill(view, surroundings) },
    Error: ownError(),
    WebAssembly: webAssemblyAtOnce(),
    // A collected proxy would let go of an object in memory that has long been put back.
    FinalizationRegistry: class {
      register(): void {
        return
      }
      unregister(): void {
        return
      }
    },
  }
  const visible = { DOMException, BigInt64Array, BigUint64Array, TextDecoder, TextEncoder }
  const global: Record<string, unknown> = { ...names, ...visible }
  global.globalThis = global
  return { names: { ...names, globalThis: global }, surroundings, clock }
}

/** Enough for Pyodide to take this for a shell, and Emscripten for a worker. */
function shellNames(): Record<string, unknown> {
  const nothing = (): void => undefined
  return {
    WorkerGlobalScope: class {},
    navigator: { userAgent: '', platform: '', language: 'C' },
    console: Object.fromEntries(['log', 'info', 'warn', 'error', 'debug', 'trace'].map((name) => [name, nothing])),
    read: nothing,
    load: nothing,
    readbuffer: nothing,
    setTimeout: soon,
    setImmediate: soon,
    setInterval: nothing,
    clearTimeout: nothing,
    clearInterval: nothing,
    AbortController,
    AbortSignal,
    URL: class {
      readonly href: string
      constructor(href: unknown) {
        this.href = String(href)
      }
    },
  }
}

/** Names it asks for and does without. */
const ABSENT = Object.fromEntries(
  `process Deno Bun window document location self require fetch XMLHttpRequest WebSocket MessageChannel SharedArrayBuffer
  Worker importScripts prompt localStorage sessionStorage indexedDB eval`
    .split(/\s+/)
    .map((name) => [name, undefined]),
)

/** No heir of the host's `Date`, which would lead to the true time. */
function clockDate(clock: Clock): unknown {
  const Real = Date
  const ClockDate = function (...given: unknown[]) {
    if (new.target === undefined) return new Real(clock.readMs()).toString()
    return Reflect.construct(Real, given.length === 0 ? [clock.readMs()] : given)
  }
  const now = (): number => Math.floor(clock.readMs())
  return Object.assign(ClockDate, { prototype: Real.prototype, UTC: Real.UTC, parse: Real.parse, now })
}

/** `Error`, but for `stackTraceLimit`, which Pyodide sets and the realm has frozen. */
function ownError(): unknown {
  const OwnError = function (...given: unknown[]) {
    return Reflect.construct(Error, given, new.target ?? Error)
  }
  OwnError.prototype = Error.prototype
  return OwnError
}

function fill(view: Uint8Array, { random }: Surroundings): Uint8Array {
  for (let i = 0; i < view.length; i++) view[i] = Math.floor(random() * BYTE_VALUES)
  return view
}

type Instantiable = {
  Module: new (bytes: unknown) => object
  Instance: new (module: object, imports: unknown) => object
}

/** As the language says, but done at once: compiling aside waits for the host. Without switching stacks: nothing here waits. */
function webAssemblyAtOnce(): Record<string, unknown> {
  const host = Reflect.get(globalThis, 'WebAssembly') as Instantiable & Record<string, unknown>
  const { Module, Instance } = host
  const left = ['compileStreaming', 'instantiateStreaming', 'Suspending', 'promising', 'SuspendError']
  const kept = Object.getOwnPropertyNames(host).filter((name) => !left.includes(name))
  return {
    ...Object.fromEntries(kept.map((name) => [name, host[name]])),
    Module: new Proxy(Module, { construct: (_, [bytes]) => new Module(checkedModule(bytes)) }),
    compile: async (bytes: unknown) => new Module(bytes),
    instantiate: async (code: unknown, imports: unknown = {}) => {
      if (code instanceof Module) return new Instance(code, imports)
      const module = new Module(code)
      return { module, instance: new Instance(module, imports) }
    },
  }
}
