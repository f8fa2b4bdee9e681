;; Writes a mebibyte with every call.
;; ends: limit border_bytes 33554432
;; used: fuel 486, border 33554976
(import "fangshi:host/kv@0.1.0" "set" (func $kv_set (param i32 i32 i32 i32 i32)))
(memory (export "memory") 64)
(data (i32.const 2048) "k")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $kv_set (i32.const 2048) (i32.const 1) (i32.const 0x100000) (i32.const 0x100000) (i32.const 8)) (br 0)) unreachable)
