;; A text behind the end of memory.
;; ends: trap out of bounds
;; used: fuel 17, border 0
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $log (i32.const 1) (i32.const -16) (i32.const 8)) (call $done))
