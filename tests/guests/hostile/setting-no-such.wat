;; Asks for a setting with a name of a mebibyte.
;; ends: done
;; used: fuel 29, border 1048592
(import "fangshi:host/settings@0.1.0" "get" (func $get (param i32 i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $get (i32.const 0x100000) (i32.const 0x100000) (i32.const 8)) (call $done))
