;; Asks for orders that do not exist, for ever.
;; ends: limit host_calls 1000
;; used: fuel 13019, border 23023
(import "fangshi:store/order-summary@0.1.0" "merchant-notes" (func $notes (param i32 i32)))
(import "fangshi:store/orders@0.1.0" "get" (func $order_get (param i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $order_get (i32.const 2048) (i32.const 7) (i32.const 8)) (br 0)) unreachable)
