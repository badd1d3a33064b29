/** What is read of WebAssembly modules: any code that gives the same bits everywhere passes, nothing else does, no bytes do harm. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TalkootError } from '../../protocol/errors.ts'
import { readModule } from '../../protocol/wasm/binary.ts'
import { wasmOf } from '../runtimes/wat.ts'

/** An instruction of each form that instructions have. */
const EVERYTHING = `(module
  (import "Math" "sin" (func $sin (param f64) (result f64))) (import "Math" "table" (table 1 2 funcref))
  (import "Math" "memory" (memory 1 2)) (import "Math" "PI" (global f64))
  (type $nothing (func)) (global $g (mut i32) (i32.const -5)) (table $t 4 funcref) (elem (i32.const 0) $unit)
  (elem $passive func $unit) (elem declare func $unit) (data $bytes "bytes")
  (func $unit (export "unit") (param $x f64) (result f64) (local i32 i32 i64) (local v128)
    (block $out (result i32) (loop $again (if (i32.const 1) (then nop) (else unreachable)))
      (br_if $out (i32.const 1) (i32.const 0)) (br_table 0 0 0 (i32.const 624485)))
    drop
    (call_indirect $t (type $nothing) (i32.const 0))
    (drop (select (result i64) (i64.const -9223372036854775808) (i64.const 1) (i32.const 0)))
    (global.set $g (i32.wrap_i64 (i64.load32_s offset=4294967295 align=1 (i32.const 0))))
    (drop (memory.grow (memory.size))) (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 5)) (data.drop $bytes)
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)) (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))
    (table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $passive)
    (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1)) (table.fill $t (i32.const 0) (ref.func $unit) (i32.const 1))
    (drop (table.grow $t (ref.null func) (table.size $t))) (drop (ref.is_null (table.get $t (i32.const 0))))
    (drop (i32.trunc_sat_f64_s (f64.const nan:0x123))) (drop (i32.extend8_s (i32.const 255))) (drop (f32.const 1.5))
    (local.set 4 (v128.const i64x2 0xfdfdfdfdfdfdfdfd 0x80fd80fd80fd80fd))
    (local.set 4 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (local.get 4) (local.get 4)))
    (local.set 4 (v128.load32_lane offset=8 3 (i32.const 0) (local.get 4))) (local.set 4 (v128.load64_zero (i32.const 0)))
    (local.set 4 (f64x2.convert_low_i32x4_u (f64x2.add (local.get 4) (v128.load (i32.const 0)))))
    (f64.add (f64x2.extract_lane 1 (f64x2.pmax (local.get 4) (local.get 4))) (call $sin (local.get $x))))
  (func (export "tail") (param i32) (result i32) (return_call 2 (local.get 0))))`

it('code of every form passes, and types are those of the text', () => {
  const { functions, imports, hasMemory } = readModule(wasmOf(EVERYTHING))
  expect(functions.get('unit')).toEqual({ params: ['f64'], results: ['f64'] })
  expect(functions.get('tail')).toEqual({ params: ['i32'], results: ['i32'] })
  expect([imports.map(({ name }) => name), hasMemory]).toEqual([['sin', 'table', 'memory', 'PI'], false])
})

describe('code that may differ between machines is refused', () => {
  const inside = (code: string, more = '(memory 1 1 shared)') => wasmOf(`(module ${more} (func ${code}))`)
  const vectors = (count: number) => Array(count).fill('(v128.const i64x2 0 0)').join(' ')
  it.each([
    ['f64x2.relaxed_madd', 3],
    ['f32x4.relaxed_nmadd', 3],
    ['f32x4.relaxed_min', 2],
    ['i8x16.relaxed_swizzle', 2],
    ['i32x4.relaxed_trunc_f32x4_s', 1],
    ['i16x8.relaxed_dot_i8x16_i7x16_s', 2],
  ])('%s', (name, operands) => {
    expect(() => readModule(inside(`(drop (${name} ${vectors(operands)}))`))).toThrow(/of the vector ones/)
  })
  it('that of threads', () => {
    expect(() => readModule(inside('(drop (i32.atomic.load (i32.const 0)))'))).toThrow(/0xfe/)
  })
  it('also if its number is written longer than need be', () => {
    const plain = inside(`(drop (f64x2.relaxed_madd ${vectors(3)}))`)
    const at = plain.indexOf(Buffer.from([0xfd, 0x87, 0x02]))
    const [before, after] = [plain.subarray(0, at), plain.subarray(at + 3)]
    const padded = Buffer.concat([before, Buffer.from([0xfd, 0x87, 0x82, 0x00]), after])
    // One byte more in the section and in the function: their sizes are single bytes here.
    const code = padded.indexOf(0x0a, 8)
    for (const size of [code + 1, code + 3]) padded[size] = (padded[size] ?? 0) + 1
    expect(() => readModule(padded)).toThrow(/263 of the vector ones/)
  })
})

it('whatever bytes do is E_SOURCE or nothing', () => {
  const whole = wasmOf(EVERYTHING)
  const harmless = (bytes: Uint8Array) => {
    try {
      readModule(bytes)
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(TalkootError)
      expect((thrown as TalkootError).code).toBe('E_SOURCE')
    }
  }
  const changed = fc.tuple(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }))
  fc.assert(
    fc.property(changed, ([at, bytes]) => {
      const copy = Buffer.from(whole)
      copy.set(bytes.subarray(0, copy.length - at), at)
      harmless(copy)
    }),
    { numRuns: 2_000 },
  )
  for (let length = 0; length < whole.length; length++) harmless(whole.subarray(0, length))
})
