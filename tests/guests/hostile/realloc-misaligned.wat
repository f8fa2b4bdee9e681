;; Gives an odd address for a list of records.
;; ends: done
;; used: fuel 29, border 24
(import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8193))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $bytes (i32.const 8) (i32.const 8)) (call $done))
