;; Fills memory behind its end.
;; ends: trap out of bounds memory access
;; used: fuel 5, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (memory.fill (i32.const 65000) (i32.const 1) (i32.const 1000)) (call $done))
