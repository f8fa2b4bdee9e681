;; Reads an order again and again and never drops its handle.
;; ends: limit open_orders 50
;; used: fuel 567, border 1785
;; limits: open_orders=50
(import "fangshi:store/order-summary@0.1.0" "merchant-notes" (func $notes (param i32 i32)))
(import "fangshi:store/orders@0.1.0" "get" (func $order_get (param i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $order_get (i32.const 2048) (i32.const 19) (i32.const 8)) (br 0)) unreachable)
