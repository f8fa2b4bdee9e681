;; Table elements behind the table's end.
;; ends: trap out of bounds table access
;; used: fuel 0, border 0
(table 1 funcref)
(elem (i32.const 5) func $nothing)
(func $nothing)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
