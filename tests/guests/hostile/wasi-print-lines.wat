;; Prints empty lines for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 65756, border 1048848
;; limits: border_bytes=1048576
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(memory (export "memory") 3)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $stream i32)
  (local.set $stream (call $stdout))
  (memory.fill (i32.const 65536) (i32.const 10) (i32.const 65536))
  (loop (call $write (local.get $stream) (i32.const 65536) (i32.const 65536) (i32.const 1100)) (br 0)) unreachable)
