;; Gives the event's handle where the order's is wanted.
;; ends: trap handle
;; used: fuel 15, border 0
(import "fangshi:store/orders@0.1.0" "[method]order.id" (func $id (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $id (local.get $event) (i32.const 8)) (call $done))
