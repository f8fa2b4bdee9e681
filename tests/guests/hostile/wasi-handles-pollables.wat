;; Makes pollables of one stream for ever.
;; ends: limit handles 10000
;; used: fuel 30001, border 159968
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $stream i32)
  (local.set $stream (call $stdout))
  (loop (drop (call $subscribe (local.get $stream))) (br 0)) unreachable)
