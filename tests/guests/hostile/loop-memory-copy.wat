;; Copies a mebibyte at a time.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(memory (export "memory") 32)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (memory.copy (i32.const 0) (i32.const 1048576) (i32.const 1048576)) (br 0)) unreachable)
