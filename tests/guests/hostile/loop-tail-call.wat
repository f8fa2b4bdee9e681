;; Two functions that end in each other: no stack is used.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $ping (param i32) (result i32) (return_call $pong (local.get 0)))
(func $pong (param i32) (result i32) (return_call $ping (local.get 0)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (return_call $ping (i32.const 0)))
