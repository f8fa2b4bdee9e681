;; Divides by zero.
;; ends: trap integer divide by zero
;; used: fuel 5, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.div_u (local.get $order) (i32.const 0)))
