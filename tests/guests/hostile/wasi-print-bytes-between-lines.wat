;; Starts a line on standard output, prints 32,000 on standard error, and goes on with the first by one byte at a time, for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 809371, border 1048580
;; limits: border_bytes=1048576 log_lines=10000 log_bytes=1048576
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(memory (export "memory") 3)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $out i32)
  (local.set $out (call $stdout))
  (memory.fill (i32.const 65536) (i32.const 10) (i32.const 32000))
  (call $write (local.get $out) (i32.const 0) (i32.const 1) (i32.const 1100))
  (call $write (call $stderr) (i32.const 65536) (i32.const 32000) (i32.const 1100))
  (loop (call $write (local.get $out) (i32.const 0) (i32.const 1) (i32.const 1100)) (br 0)) unreachable)
