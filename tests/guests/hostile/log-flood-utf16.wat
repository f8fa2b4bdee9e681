;; Writes for ever, in UTF-16, what the log no longer keeps.
;; ends: limit border_bytes 1048576
;; used: fuel 2097228, border 1241183
;; limits: border_bytes=1048576
;; encoding: utf16
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (memory.fill (i32.const 0x100000) (i32.const 0x4e) (i32.const 0x200000))
  (loop (call $log (i32.const 1) (i32.const 0x100000) (i32.const 0x100000)) (br 0)) unreachable)
