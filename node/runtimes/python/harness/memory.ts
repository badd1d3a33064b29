/** The memory and stack every unit of a job begins with. */

import type { Emscripten } from './python.ts'

export function rememberMemory(module: Emscripten): () => void {
  const memory = module.HEAPU8.slice()
  const stack = module.___stack_pointer.value
  return () => {
    module.HEAPU8.set(memory)
    // It may have grown since, and what it grows by is zero.
    module.HEAPU8.fill(0, memory.length)
    module.___stack_pointer.value = stack
  }
}
