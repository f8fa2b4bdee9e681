;; Asks for the order's id for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 868828, border 1048600
;; limits: border_bytes=1048576
(import "fangshi:store/orders@0.1.0" "[method]order.id" (func $id (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $id (local.get $order) (i32.const 8)) (br 0)) unreachable)
