;; Calls an empty function through a table for ever.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(table 1 funcref)
(elem (i32.const 0) func $nothing)
(func $nothing)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call_indirect (i32.const 0)) (br 0)) unreachable)
