;; A reason of 3 MiB where 2 MiB may cross.
;; ends: limit call_bytes 2097152
;; used: fuel 29, border 0
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $reject (i32.const 0) (i32.const 3145728)))
