/**
 * Python scripts under Pyodide, CPython as WebAssembly, in the sandbox of js units; source `Script` as JSON.
 *
 * A process starts from a snapshot of Python's memory and keeps what it is after it has compiled the script; before
 * each unit that is put back, with all files, so that no unit finds anything of another. docs/python.md
 */

import { join } from 'node:path'
import { DenoHost, type DenoHostInit } from '../js/deno-host.ts'
import { openJsSandbox } from '../js/open-sandbox.ts'
import { PreparedRuntime } from '../prepared-runtime.ts'
import type { Runtime } from '../runtime.ts'
import { preparePython } from './prepare.ts'

export type PythonRuntimeInit = DenoHostInit & {
  /** Where the snapshot is kept from one start to the next. @default a folder in `scratchDir` */
  keptIn?: string
}

export function createPythonRuntime(init: PythonRuntimeInit, host = new DenoHost(init)): Runtime {
  const { keptIn = join(init.scratchDir, 'python') } = init
  return new PreparedRuntime({
    prepare: async (signal) => {
      const js = await host.enter(signal)
      try {
        return await preparePython(js, keptIn, signal)
      } catch (error) {
        await host.leave()
        throw error
      }
    },
    dispose: () => host.leave(),
    openSandbox: (components, job) => openJsSandbox('python', components, job),
  })
}
