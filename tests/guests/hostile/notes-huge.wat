;; A note of 3 MiB.
;; ends: limit call_bytes 2097152
;; used: fuel 21, border 0
(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
(memory (export "memory") 64)
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $note (i32.const 2048) (i32.const 19) (i32.const 0) (i32.const 3145728) (i32.const 8)) (call $done))
