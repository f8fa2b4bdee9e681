;; Reads a key for ever.
;; ends: limit host_calls 1000
;; used: fuel 13019, border 33017
(import "fangshi:host/kv@0.1.0" "get" (func $kv_get (param i32 i32 i32)))
(data (i32.const 2048) "k")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $kv_get (i32.const 2048) (i32.const 1) (i32.const 8)) (br 0)) unreachable)
