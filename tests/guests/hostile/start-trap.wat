;; Crashes before its hook.
;; ends: trap unreachable
;; used: fuel 3, border 0
(func $begin unreachable)
(start $begin)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
