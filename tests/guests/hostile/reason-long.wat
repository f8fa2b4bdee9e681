;; A reason of a mebibyte: it is cut.
;; ends: reject
;; used: fuel 1048609, border 0
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (memory.fill (i32.const 0x100000) (i32.const 120) (i32.const 0x100000)) (call $reject (i32.const 0x100000) (i32.const 0x100000)))
