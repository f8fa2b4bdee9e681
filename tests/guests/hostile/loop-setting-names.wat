;; Asks for ever for a setting with a name as long as one call may carry.
;; ends: limit border_bytes 33554432
;; used: fuel 182, border 33554688
(import "fangshi:host/settings@0.1.0" "get" (func $get (param i32 i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $get (i32.const 0x100000) (i32.const 0x200000) (i32.const 8)) (br 0)) unreachable)
