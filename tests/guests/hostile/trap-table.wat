;; Calls behind the end of a table.
;; ends: trap undefined element
;; used: fuel 8, border 0
(table 1 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call_indirect (i32.const 5)) (call $done))
