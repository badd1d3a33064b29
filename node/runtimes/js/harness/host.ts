/** What the harness needs of Deno, taken when this module loads: before any of it is deleted and before any task code. */

/** A file that is read. `whence` 0: from its beginning. */
export type HostFile = {
  readSync(into: Uint8Array): number | null
  seekSync(at: number, whence: 0): number
  close(): void
}

type Stream = { readSync(into: Uint8Array): number | null; writeSync(from: Uint8Array): number }

/** Deno's own core, which has no stable interface: the version is pinned, and the compliance suite runs all of this. */
type DenoCore = {
  runMicrotasks(): void
  eventLoopHasMoreWork(): boolean
  setUnhandledPromiseRejectionHandler(handler: () => boolean): void
}

export type WasmMemory = { readonly buffer: ArrayBuffer }
export type WasmInstance = { readonly exports: Readonly<Record<string, unknown>> }
type Thrown = new () => Error
type Wasm = {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => WasmInstance
  LinkError: Thrown
  RuntimeError: Thrown
}

type DenoGlobals = {
  Deno: {
    stdin: Stream
    stdout: Stream
    stderr: Stream
    openSync(path: string): HostFile
    exit(code: number): never
    version: { deno: string; v8: string }
    internal: symbol
    [internal: symbol]: { core: DenoCore }
  }
  process: { getBuiltinModule(name: 'node:vm'): { compileFunction(body: string, names: string[]): unknown } }
  addEventListener(type: string, listener: () => void): void
  setTimeout(callback: () => void, ms: number): number
  setImmediate(callback: () => void): unknown
  performance: { now(): number }
  WebAssembly: Wasm
  /** There where V8 is told so. */
  gc?(): void
}

const host = globalThis as unknown as DenoGlobals
const { stdin, stdout, stderr, openSync, exit, version } = host.Deno
const core = (host.Deno[host.Deno.internal] as { core: DenoCore }).core
const vm = host.process.getBuiltinModule('node:vm')

export const denoVersion = version.deno
export const wasm = host.WebAssembly

export const readStdin = (into: Uint8Array): number | null => stdin.readSync(into)
export const writeStdout = (from: Uint8Array): number => stdout.writeSync(from)
export const writeStderr = (from: Uint8Array): number => stderr.writeSync(from)

/** For what the process may read: the files its job brings. */
export const openFile = (path: string): HostFile => openSync(path)

export const exitProcess = (code: number): never => exit(code)

/** Runs every promise job there is, now. Does nothing when called from a promise job. */
export const drainPromiseJobs = (): void => core.runMicrotasks()

/**
 * Compiles a function body in sloppy mode unless it says otherwise. Unlike `new Function`, it refuses every dynamic
 * import of that body and of all code that body ever makes from strings.
 */
export const compileFunction = (body: string, names: string[]): unknown => vm.compileFunction(body, names)

const { addEventListener, setTimeout, setImmediate, gc } = host
const performanceNow = host.performance.now.bind(host.performance)

/** Memories of WebAssembly that nothing leads to weigh nothing in V8's eyes: it would let the process run out of memory first. */
export const collectGarbage = (): void => gc?.()

export const monotonicMs = (): number => performanceNow()

/** Calls back once Deno has finished starting: deleting its globals earlier crashes it. */
export function onceStarted(start: () => void): void {
  addEventListener('load', () => setTimeout(() => attempt(start), 0))
}

/** Calls back after one turn of Deno's event loop. */
export function afterTurn(next: () => void): void {
  setImmediate(() => attempt(next))
}

/** What is thrown ends the process with its words, for Deno's own way of saying so needs a global that is gone. */
function attempt(step: () => void): void {
  try {
    step()
  } catch (error) {
    stderr.writeSync(new TextEncoder().encode(error instanceof Error ? error.stack : String(error)))
    exit(1)
  }
}

/** A rejected promise nobody looks at is the task's own affair: it must not end the process. */
export const ignoreUnhandled = (): void => core.setUnhandledPromiseRejectionHandler(() => true)

/**
 * Whether Deno holds rejected promises nobody looks at, with all they lead to. It does until its event loop turns.
 * Within `afterTurn` the loop has nothing else to do; elsewhere this may be true without need.
 */
export const holdsRejections = (): boolean => core.eventLoopHasMoreWork()
