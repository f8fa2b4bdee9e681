;; Calls nothing through a table.
;; ends: trap uninitialized element
;; used: fuel 8, border 0
(table 1 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call_indirect (i32.const 0)) (call $done))
