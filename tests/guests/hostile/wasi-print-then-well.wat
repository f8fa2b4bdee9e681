;; Prints more than the log keeps, and ends well.
;; ends: done
;; used: fuel 31, border 65568
;; limits: log_bytes=1000 log_lines=10
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(memory (export "memory") 3)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $write (call $stdout) (i32.const 65536) (i32.const 65536) (i32.const 1100))
  (call $done))
