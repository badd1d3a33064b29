/** Pyodide, loaded from its own files into a world of ours, from nothing or from a snapshot of its memory. */

import { compileFunction } from '../../js/harness/host.ts'
import type { FileSystem } from './files.ts'
import { Guard, type Imports } from './guard.ts'
import type { World } from './world.ts'

export type PyodideFiles = {
  /** Texts of `pyodide.mjs` and `pyodide.asm.mjs`. */
  loader: string
  emscripten: string
  wasm: Uint8Array
  standardLibrary: Uint8Array
}

/** What is used of Emscripten's module. */
export type Emscripten = {
  HEAPU8: Uint8Array
  FS: FileSystem
  ___stack_pointer: { value: number }
}

/** What is used of Pyodide. */
export type Pyodide = {
  _module: Emscripten
  runPython(text: string): unknown
  pyimport(name: string): Record<string, (...args: unknown[]) => unknown>
  makeMemorySnapshot(): Uint8Array
  setStdin(from: { stdin: () => null }): void
  setStdout(to: { write: (bytes: Uint8Array) => number }): void
  setStderr(to: { write: (bytes: Uint8Array) => number }): void
}

export type Python = {
  pyodide: Pyodide
  emscripten: Emscripten
  /** Whether it asked for more memory than it may have, since this was last asked. */
  metMemoryLimit(): boolean
  guard: Guard
}

type Find = (library: number, ...what: number[]) => number
/** As Emscripten numbers libraries. */
const PYTHON_ITSELF = 0
const FOLDER = '/pyodide/'
/** The same on every machine: the order of sets of texts hangs on it. */
const ENVIRONMENT = { HOME: '/unit', PYTHONHASHSEED: '0', TZ: 'UTC', LANG: 'C.UTF-8' }
/** Of the packages that Pyodide would fetch, none is known. */
const NO_PACKAGES = {
  info: { arch: 'wasm32', platform: 'emscripten', version: '314.0.7', python: '3.14.2', abi_version: '2026_0' },
  packages: {},
}

type Settings = {
  /** Of Emscripten's module, which the settings become. What Python's next `dlerror` says. */
  dlSetError?(message: string): void
  instantiateWasm(imports: { env: Imports }, receive: unknown): unknown
}

export async function loadPython(files: PyodideFiles, world: World, snapshot?: Uint8Array): Promise<Python> {
  const names = { ...world.names, readbuffer: (path: string) => contentOf(files, path) }
  const run = (text: string): unknown => {
    const body = compileFunction(text, Object.keys(names)) as (...values: unknown[]) => unknown
    return body(...Object.values(names))
  }
  const load = run(asFunctionBody(files.loader, 'loadPyodide')) as (settings: object) => Promise<Pyodide>
  const create = run(asFunctionBody(files.emscripten, 'default')) as (settings: Settings) => Promise<Emscripten>
  const refusals = { any: false }
  const guard = new Guard()
  const pyodide = await load({
    indexURL: FOLDER,
    createPyodideModule: async (settings: Settings) =>
      await create(withoutOwnSymbols(guarded(guard, noting(refusals, settings)))),
    jsglobals: Object.freeze(Object.create(null)),
    lockFileContents: NO_PACKAGES,
    env: { ...ENVIRONMENT },
    ...(snapshot === undefined ? { _makeSnapshot: true } : { _loadSnapshot: snapshot }),
  })
  const metMemoryLimit = (): boolean => {
    const { any } = refusals
    refusals.any = false
    return any
  }
  return { pyodide, emscripten: pyodide._module, metMemoryLimit, guard }
}

const guarded = (guard: Guard, settings: Settings): Settings => ({
  ...settings,
  instantiateWasm(imports, receive) {
    guard.watch(imports.env)
    return settings.instantiateWasm(imports, receive)
  },
})

/** Notes each time that the memory cannot grow. */
function noting(refusals: { any: boolean }, settings: Settings): Settings {
  return {
    ...settings,
    instantiateWasm(imports, receive) {
      const grow = imports.env.emscripten_resize_heap as (bytes: number) => unknown
      imports.env.emscripten_resize_heap = (bytes: number) => {
        const grown = grow(bytes)
        if (!grown) refusals.any = true
        return grown
      }
      return settings.instantiateWasm(imports, receive)
    },
  }
}

/** `dlsym` of a compiled extension only: what Python itself has for C is found by no name. */
function withoutOwnSymbols(settings: Settings): Settings {
  const own: Settings = {
    ...settings,
    instantiateWasm(imports, receive) {
      const find = imports.env._dlsym_js as Find
      const refuse = (): number => {
        own.dlSetError?.('functions of Python itself are not found by name')
        return 0
      }
      const ofExtension: Find = (library, ...what) => (library === PYTHON_ITSELF ? refuse() : find(library, ...what))
      imports.env._dlsym_js = ofExtension
      return settings.instantiateWasm(imports, receive)
    },
  }
  return own
}

function contentOf({ wasm, standardLibrary }: PyodideFiles, path: string): ArrayBuffer {
  const content = path.endsWith('.wasm') ? wasm : standardLibrary
  return content.buffer as ArrayBuffer
}

/** A module of one export becomes the body of a function that returns it. */
function asFunctionBody(text: string, name: string): string {
  const exported = text.match(/\bexport\s*(?:default\s+(\w+);?|\{([^}]*)\};?)/)
  const named = exported?.[2]?.split(',').map((one) => one.trim().split(/\s+as\s+/))
  const local = name === 'default' ? exported?.[1] : named?.find(([, as]) => as === name)?.[0]
  if (exported === null || local === undefined) throw new Error(`Pyodide exports no ${name}`)
  const [statement] = exported
  return text.replaceAll('import.meta.url', `"file://${FOLDER}"`).replace(statement, () => `return ${local};`)
}
