;; A text of 3 MiB where 2 MiB may cross.
;; ends: limit call_bytes 2097152
;; used: fuel 17, border 0
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $log (i32.const 1) (i32.const 0) (i32.const 3145728)) (call $done))
