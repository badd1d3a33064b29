/** WebAssembly for tests, from its text. */

import wabt from 'wabt'

const { parseWat } = await wabt()

const FEATURES = {
  multi_value: true,
  bulk_memory: true,
  reference_types: true,
  tail_call: true,
  simd: true,
  relaxed_simd: true,
  threads: true,
}

export function wasmOf(text: string): Buffer {
  const module = parseWat('test.wat', text, FEATURES)
  try {
    return Buffer.from(module.toBinary({}).buffer)
  } finally {
    module.destroy()
  }
}

/** WASI programs: `at` numbers are places in memory, of which the first 64 bytes are for calls. */
export const wasi = (body: string, more = ''): string => `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (memory (export "memory") 1)
  (func $write (param $to i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8))))
  ${more}
  (func (export "_start") ${body}))`
