;; Never ends giving memory.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 18
(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop (br 0)) unreachable)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $all (i32.const 8)) (call $done))
