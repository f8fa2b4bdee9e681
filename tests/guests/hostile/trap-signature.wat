;; Calls a function as if it were another.
;; ends: trap indirect call type mismatch
;; used: fuel 9, border 0
(table 1 funcref)
(elem (i32.const 0) func $nothing)
(func $nothing)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call_indirect (param i64) (i64.const 1) (i32.const 0)) (call $done))
