/** The files beside the harness. Deno reads what is imported at its start without any permission, and nothing else. */

// @ts-expect-error: these names are those of the sandbox.
import emscripten from './pyodide.asm.mjs' with { type: 'text' }
// @ts-expect-error
import wasm from './pyodide.asm.wasm' with { type: 'bytes' }
// @ts-expect-error
import loader from './pyodide.mjs' with { type: 'text' }
import type { PyodideFiles } from './python.ts'
// @ts-expect-error
import standardLibrary from './python_stdlib.zip' with { type: 'bytes' }

export const pyodideFiles: PyodideFiles = { loader, emscripten, wasm, standardLibrary }
