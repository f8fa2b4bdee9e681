;; Fills a mebibyte at a time: one instruction, much work. Each byte costs fuel.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(memory (export "memory") 32)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (memory.fill (i32.const 0) (i32.const 7) (local.get $order)) (memory.fill (i32.const 65536) (i32.const 7) (i32.const 1048576)) (br 0)) unreachable)
