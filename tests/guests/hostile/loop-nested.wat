;; Loops in loops, none of which ends soon.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $i i64)
  (loop $outer
    (local.set $i (i64.const -1))
    (loop $inner
      (local.set $i (i64.sub (local.get $i) (i64.const 1)))
      (br_if $inner (i64.ne (local.get $i) (i64.const 0))))
    (br $outer))
  unreachable)
