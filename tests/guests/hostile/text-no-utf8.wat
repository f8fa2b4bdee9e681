;; A text that is none.
;; ends: trap utf-8
;; used: fuel 17, border 0
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(data (i32.const 2048) "\ff\fe\c0\80")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $log (i32.const 1) (i32.const 2048) (i32.const 4)) (call $done))
