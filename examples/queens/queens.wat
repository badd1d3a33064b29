;; `queens N COLUMN`: in how many ways N queens stand on a board of N x N with the first in that column, counted from 0.
;; A WASI program. `npx wat2wasm queens.wat -o queens.wasm`
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  ;; 0: where the arguments begin; 64: the arguments; 512: what is written, from its end; 600: its place and length; 700: words.
  (memory (export "memory") 1)
  (data (i32.const 700) "usage: queens N COLUMN, N from 1 to 16\n")

  (func $number (param $at i32) (result i32) (local $value i32) (local $digit i32)
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
        (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10)) (local.get $digit)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))
    (local.get $value))

  ;; Columns and diagonals that are taken, as bits; all columns of the board.
  (func $ways (param $all i32) (param $columns i32) (param $left i32) (param $right i32) (result i32)
    (local $free i32) (local $queen i32) (local $count i32)
    (if (i32.eq (local.get $columns) (local.get $all)) (then (return (i32.const 1))))
    (local.set $free (i32.and (local.get $all) (i32.xor (i32.const -1)
      (i32.or (local.get $columns) (i32.or (local.get $left) (local.get $right))))))
    (block $none
      (loop $place
        (br_if $none (i32.eqz (local.get $free)))
        (local.set $queen (i32.and (local.get $free) (i32.sub (i32.const 0) (local.get $free))))
        (local.set $free (i32.xor (local.get $free) (local.get $queen)))
        (local.set $count (i32.add (local.get $count) (call $ways
          (local.get $all)
          (i32.or (local.get $columns) (local.get $queen))
          (i32.shl (i32.or (local.get $left) (local.get $queen)) (i32.const 1))
          (i32.shr_u (i32.or (local.get $right) (local.get $queen)) (i32.const 1)))))
        (br $place)))
    (local.get $count))

  (func $write (param $to i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 600) (local.get $at))
    (i32.store (i32.const 604) (local.get $length))
    (drop (call $fd_write (local.get $to) (i32.const 600) (i32.const 1) (i32.const 608))))

  (func $print (param $value i32) (local $at i32)
    (local.set $at (i32.const 531))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (br_if $digit (local.tee $value (i32.div_u (local.get $value) (i32.const 10)))))
    (call $write (i32.const 1) (local.get $at) (i32.sub (i32.const 532) (local.get $at))))

  (func (export "_start") (local $n i32) (local $column i32) (local $queen i32)
    (drop (call $args_get (i32.const 0) (i32.const 64)))
    (local.set $n (call $number (i32.load (i32.const 4))))
    (local.set $column (call $number (i32.load (i32.const 8))))
    (if (i32.or (i32.gt_u (i32.sub (local.get $n) (i32.const 1)) (i32.const 15)) (i32.ge_u (local.get $column) (local.get $n)))
      (then
        (call $write (i32.const 2) (i32.const 700) (i32.const 39))
        (call $proc_exit (i32.const 2))))
    (local.set $queen (i32.shl (i32.const 1) (local.get $column)))
    (call $print (call $ways
      (i32.sub (i32.shl (i32.const 1) (local.get $n)) (i32.const 1))
      (local.get $queen)
      (i32.shl (local.get $queen) (i32.const 1))
      (i32.shr_u (local.get $queen) (i32.const 1))))))
