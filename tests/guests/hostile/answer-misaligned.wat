;; Wants its answer at an odd address.
;; ends: trap align
;; used: fuel 13, border 18
(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $all (i32.const 9)) (call $done))
