;; Its store is never read.
;; ends: deadline
;; used: fuel 17, border 17
;; host: never
;; limits: deadline_ms=100
(import "fangshi:host/kv@0.1.0" "get" (func $kv_get (param i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $kv_get (i32.const 2048) (i32.const 1) (i32.const 8)) (call $done))
