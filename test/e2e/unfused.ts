/**
 * Loaded before a node: the sandboxes it starts see a processor that cannot multiply and add at once, as far as the C library and V8
 * ask. In the node's own environment that would not reach them: they are given none of it.
 */

import childProcess from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'

const TUNABLES = 'glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4'
const V8_FLAGS = '--no-enable-fma3,--no-enable-avx2,--no-enable-avx'

const { spawn } = childProcess

function unfused(word: string): string[] {
  if (word === '--clearenv') return [word, '--setenv', 'GLIBC_TUNABLES', TUNABLES]
  return [word.startsWith('--v8-flags=') ? `${word},${V8_FLAGS}` : word]
}

const start = (file: string, args: readonly string[], options: childProcess.SpawnOptions): childProcess.ChildProcess =>
  options.env?.DENO_DIR === undefined
    ? spawn(file, args, options)
    : spawn(file, args.flatMap(unfused), { ...options, env: { ...options.env, GLIBC_TUNABLES: TUNABLES } })

childProcess.spawn = start as typeof spawn
syncBuiltinESMExports()
