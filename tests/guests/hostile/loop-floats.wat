;; Square roots of what is no number.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $x f64)
  (loop (local.set $x (f64.sqrt (f64.sub (local.get $x) (f64.const 1)))) (br 0))
  unreachable)
