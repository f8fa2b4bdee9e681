;; Asks for ever whether standard output is ready, with `ready`.
;; ends: limit border_bytes 1048576
;; used: fuel 196613, border 1048592
;; limits: border_bytes=1048576
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
(import "wasi:io/poll@0.2.3" "[method]pollable.ready" (func $it (param i32) (result i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $handle i32)
  (local.set $handle (call $subscribe (call $stdout)))
  (loop (drop (call $it (local.get $handle))) (br 0)) unreachable)
