;; A failure that is none of the contract's.
;; ends: trap discriminant
;; used: fuel 19, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.store (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 200)) (i32.const 1024))
