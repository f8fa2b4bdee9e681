;; Writes more than is kept, and ends well.
;; ends: done
;; used: fuel 39, border 69150
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $log (i32.const -1) (i32.const 0) (i32.const 61440)) (call $log (i32.const 77) (i32.const 0) (i32.const 61440)) (call $done))
