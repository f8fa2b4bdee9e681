;; A table of ten million elements from the start.
;; ends: refused unloadable
(table $t 10000000 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
