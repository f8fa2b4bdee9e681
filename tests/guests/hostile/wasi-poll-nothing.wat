;; Polls an empty list, which the interface forbids.
;; ends: trap empty poll list
;; used: fuel 17, border 16
(import "wasi:io/poll@0.2.3" "poll" (func $poll (param i32 i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $poll (i32.const 0) (i32.const 0) (i32.const 1100)) unreachable)
