;; Writes 3 MiB where 2 MiB may cross.
;; ends: limit call_bytes 2097152
;; used: fuel 21, border 0
(import "fangshi:host/kv@0.1.0" "set" (func $kv_set (param i32 i32 i32 i32 i32)))
(memory (export "memory") 64)
(data (i32.const 2048) "k")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $kv_set (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 3145728) (i32.const 8)) (call $done))
