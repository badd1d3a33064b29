;; The Lyapunov exponent of the logistic map x -> r x (1 - x): the mean of ln |r (1 - 2 x)| along its orbit, from x = 0.4,
;; after a thousand steps that do not count. Above 0: chaos. `npx wat2wasm lyapunov.wat -o lyapunov.wasm`
(module
  (import "Math" "log" (func $log (param f64) (result f64)))
  (func $step (param $r f64) (param $x f64) (result f64)
    (f64.mul (f64.mul (local.get $r) (local.get $x)) (f64.sub (f64.const 1) (local.get $x))))
  (func (export "unit") (param $r f64) (param $steps i32) (result f64)
    (local $x f64) (local $sum f64) (local $i i32)
    (local.set $x (f64.const 0.4))
    (local.set $i (i32.const 1000))
    (loop $settle
      (local.set $x (call $step (local.get $r) (local.get $x)))
      (br_if $settle (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.set $i (local.get $steps))
    (loop $count
      (local.set $x (call $step (local.get $r) (local.get $x)))
      (local.set $sum (f64.add (local.get $sum)
        (call $log (f64.abs (f64.mul (local.get $r) (f64.sub (f64.const 1) (f64.mul (f64.const 2) (local.get $x))))))))
      (br_if $count (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (f64.div (local.get $sum) (f64.convert_i32_u (local.get $steps)))))
