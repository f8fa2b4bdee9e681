;; A data segment behind the end of memory.
;; ends: trap out of bounds memory access
;; used: fuel 0, border 0
(data (i32.const 65530) "beyond the end")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
