;; Asks for ever how much it may print.
;; ends: limit border_bytes 1048576
;; used: fuel 589832, border 1048592
;; limits: border_bytes=1048576
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.check-write" (func $check (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $stream i32)
  (local.set $stream (call $stdout))
  (loop (call $check (local.get $stream) (i32.const 1104)) (br 0)) unreachable)
