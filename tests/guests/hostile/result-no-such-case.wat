;; A hook's result that is neither ok nor error.
;; ends: trap discriminant
;; used: fuel 16, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.store (i32.const 1024) (i32.const 9)) (i32.const 1024))
