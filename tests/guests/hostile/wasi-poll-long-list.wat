;; Polls one pollable nine thousand times in one list.
;; ends: limit pollables 256
;; used: fuel 135020, border 32
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
(import "wasi:io/poll@0.2.3" "poll" (func $poll (param i32 i32 i32)))
(memory (export "memory") 3)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $handle i32) (local $n i32)
  (local.set $handle (call $subscribe (call $stdout)))
  (loop
    (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $n) (i32.const 2))) (local.get $handle))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $n) (i32.const 9000))))
  (call $poll (i32.const 65536) (i32.const 9000) (i32.const 1100))
  unreachable)
