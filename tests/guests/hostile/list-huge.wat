;; A list of 268 million records.
;; ends: trap out of bounds
;; used: fuel 25, border 0
(import "fangshi:store/price@0.1.0" "change" (func $price (param i32 i32 i32 i32 i32 i64 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $price (i32.const 2048) (i32.const 19) (i32.const 4096) (i32.const 0x0fffffff) (i32.const 0) (i64.const 0) (i32.const 8)) (call $done))
