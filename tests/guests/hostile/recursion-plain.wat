;; Calls itself.
;; ends: limit stack 524288
;; used: fuel 32735, border 0
(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (drop (call $deep (i64.const 0))) (call $done))
