;; Calls itself when asked for memory.
;; ends: limit stack 524288
;; used: fuel 39289, border 18
(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))
(func $again (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.add (call $again (local.get 0) (local.get 1) (local.get 2) (local.get 3)) (i32.const 1)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $all (i32.const 8)) (call $done))
