;; Has no room for the random that it asks for.
;; ends: trap realloc
;; used: fuel 33, border 65552
(import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $bytes (i32.const -1) (i32.const 8)) (call $done))
