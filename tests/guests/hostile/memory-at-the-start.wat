;; Declares more memory than it may have.
;; ends: limit memory_bytes 8388608
;; used: fuel 0, border 0
;; limits: memory_bytes=8388608
(memory (export "memory") 129)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
