;; Prints a line that never ends.
;; ends: limit border_bytes 33554432
;; used: fuel 6664, border 33562640
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(memory (export "memory") 3)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $stream i32)
  (local.set $stream (call $stdout))
  (loop (call $write (local.get $stream) (i32.const 65536) (i32.const 65536) (i32.const 1100)) (br 0)) unreachable)
