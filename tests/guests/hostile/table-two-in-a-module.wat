;; Two tables in one module, where a place has one for each.
;; ends: refused unloadable
(table $t 1 funcref)
(table $u 1 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
