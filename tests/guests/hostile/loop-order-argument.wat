;; Asks for ever for the picture of a product with a name as long as one call may carry.
;; ends: limit border_bytes 33554432
;; used: fuel 484, border 33554816
(import "fangshi:store/order-items@0.1.0" "thumb-img" (func $thumb (param i32 i32 i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $thumb (local.get $order) (i32.const 0x100000) (i32.const 0x200000) (i32.const 8)) (br 0)) unreachable)
