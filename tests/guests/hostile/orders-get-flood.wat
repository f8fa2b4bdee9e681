;; Reads orders for ever and drops each.
;; ends: limit host_calls 1000
;; used: fuel 14017, border 35035
(import "fangshi:store/order-summary@0.1.0" "merchant-notes" (func $notes (param i32 i32)))
(import "fangshi:store/orders@0.1.0" "get" (func $order_get (param i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop
    (call $order_get (i32.const 2048) (i32.const 19) (i32.const 8))
    (call $drop_order (i32.load (i32.const 12)))
    (br 0))
  unreachable)
