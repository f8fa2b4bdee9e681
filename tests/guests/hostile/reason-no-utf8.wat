;; A reason that is no text.
;; ends: trap utf-8
;; used: fuel 29, border 0
(data (i32.const 2048) "\ff\ff")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $reject (i32.const 2048) (i32.const 2)))
