;; Drops a stream whose pollable it keeps.
;; ends: trap resource has children
;; used: fuel 12, border 32
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
(import "wasi:io/streams@0.2.3" "[resource-drop]output-stream" (func $drop (param i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $stream i32)
  (local.set $stream (call $stdout))
  (drop (call $subscribe (local.get $stream)))
  (call $drop (local.get $stream)) unreachable)
