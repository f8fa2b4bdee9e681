;; Never gets as far as its hook.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $begin (loop (br 0)))
(start $begin)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
